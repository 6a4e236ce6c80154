/* Races against a guard that looks at memory: `races flip|swap TRIES V4 PORT ALLOWED`.
 *
 * flip: another thread changes the address between an allowed and a forbidden one meanwhile.
 * swap: another thread puts a TCP socket in place of a Unix one, and an inet address in place of a
 * Unix one, while the call is being decided.
 * Both threads make progress on any machine: the attempts begin once the other thread has turned, give
 * way now and then, and go on until it has turned often. Prints how many calls did not fail with
 * EACCES. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static volatile union {
    struct sockaddr_in inet;
    struct sockaddr_un local;
    unsigned char bytes[sizeof(struct sockaddr_un)];
} address;
static struct sockaddr_in forbidden, allowed;
static struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/no/such/socket/anywhere"};
static volatile int over;
static volatile unsigned turns;
static const int place = 500;

static void put(const void *from, size_t size) {
    for (size_t i = 0; i < size; i++) address.bytes[i] = ((const unsigned char *)from)[i];
}

static void *flip(void *unused) {
    while (!over) {
        address.inet.sin_addr = allowed.sin_addr;
        address.inet.sin_addr = forbidden.sin_addr;
        turns++;
    }
    return unused;
}

static void *swap(void *unused) {
    while (!over) {
        int stream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        int unix_socket = socket(AF_UNIX, SOCK_STREAM, 0);
        put(&local, 26);
        dup2(unix_socket, place);
        put(&forbidden, sizeof forbidden);
        dup2(stream, place);
        close(stream);
        close(unix_socket);
        turns++;
    }
    return unused;
}

int main(int count, char **given) {
    if (count < 6) return 64;
    int swapping = !strcmp(given[1], "swap"), tries = atoi(given[2]), passed = 0;
    forbidden = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(given[4]))};
    allowed = forbidden;
    inet_pton(AF_INET, given[3], &forbidden.sin_addr);
    inet_pton(AF_INET, given[5], &allowed.sin_addr);
    put(swapping ? (void *)&local : (void *)&allowed, sizeof forbidden);
    pthread_t thread;
    pthread_create(&thread, 0, swapping ? swap : flip, 0);
    while (!turns) sched_yield();
    for (int i = 0; i < tries || turns < (unsigned)tries / 20; i++) {
        if (i % 16 == 0) sched_yield();
        int one = swapping ? place : socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        int failed = connect(one, (void *)&address, swapping ? 26 : sizeof forbidden) < 0;
        passed += !(failed && errno == EACCES);
        if (!swapping) close(one);
    }
    over = 1;
    pthread_join(thread, 0);
    printf("%d\n", passed);
    return 0;
}
