/* What ``devenv.bench_guard`` times. Raw system calls, so that nothing of an interpreter is in them.
 *
 *   bench_guard serve             accepts on a free port of the loopback, reads all, prints the port
 *   bench_guard connect PORT N US prints the nanoseconds of N connects, one a line, that many
 *                                 microseconds (of work, not of sleep) between them
 *   bench_guard supervise COMMAND runs it so that each of its connects asks this process, which
 *                                 lets the kernel make it: the least that asking can cost
 *   bench_guard send PORT MIB     prints the nanoseconds of sending that much over one connection */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* since Linux 6.6, later than many a distribution's headers */
#define SET_FLAGS _IOW('!', 4, unsigned long long)
#define WAKE_ON_THIS_CPU 1UL

static char buffer[1 << 18];

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void *drain(void *given) {
    char *into = malloc(sizeof buffer);
    while (recv((int)(long)given, into, sizeof buffer, 0) > 0) {}
    close((int)(long)given);
    free(into);
    return 0;
}

static int serve(void) {
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    bind(listening, (void *)&here, sizeof here);
    listen(listening, 4096);
    getsockname(listening, (void *)&here, &size);
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    for (;;) {
        pthread_t thread;
        int one = accept(listening, 0, 0);
        if (one >= 0 && pthread_create(&thread, 0, drain, (void *)(long)one) == 0)
            pthread_detach(thread);
    }
}

static int listener;
static pid_t child;

/* A filter belongs to a thread, so the process's first one stays free of it, and can answer. */
static void *start(void *given) {
    char **command = given;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_connect, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                            SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0) perror("seccomp"), exit(71);
    fcntl(listener, F_SETFD, FD_CLOEXEC);
    child = fork();
    if (child == 0) execv(*command, command), _exit(127);
    return 0;
}

static int supervise(char **command) {
    pthread_t thread;
    int status;
    pthread_create(&thread, 0, start, command);
    pthread_join(thread, 0);
    ioctl(listener, SET_FLAGS, WAKE_ON_THIS_CPU);
    for (struct pollfd wait = {listener, POLLIN, 0}; poll(&wait, 1, -1) == 1;) {
        struct seccomp_notif asked = {0};
        struct seccomp_notif_resp answer = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        if (!(wait.revents & POLLIN)) break; /* nobody is left who could ask */
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked)) continue;
        answer.id = asked.id;
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

int main(int count, char **given) {
    if (count == 2 && !strcmp(given[1], "serve")) return serve();
    if (count > 2 && !strcmp(given[1], "supervise")) return supervise(given + 2);
    if (count < 4) return 64;
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(atoi(given[2])),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int amount = atoi(given[3]), sending = !strcmp(given[1], "send");
    long long pause = count > 4 ? atoi(given[4]) * 1000LL : 0;
    for (int i = 0; i < (sending ? 1 : amount); i++) {
        struct linger at_once = {1, 0};
        int one = socket(AF_INET, SOCK_STREAM, 0);
        for (long long since = now(); now() - since < pause;) {}
        long long start = now();
        if (connect(one, (void *)&there, sizeof there)) return perror("connect"), 1;
        if (sending) {
            long long left = (long long)amount << 20;
            start = now();
            while (left > 0) {
                ssize_t sent = send(one, buffer, sizeof buffer, 0);
                if (sent < 0) return perror("send"), 1;
                left -= sent;
            }
        }
        printf("%lld\n", now() - start);
        if (!sending) setsockopt(one, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(one);
    }
    return 0;
}
