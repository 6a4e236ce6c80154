/* What ``devenv.bench_guard`` times. Raw system calls, so that nothing of an interpreter is in them.
 *
 *   bench_guard serve             accepts on a free port of the loopback, reads all, prints the port
 *   bench_guard connect PORT N    prints the nanoseconds of N connects, one a line
 *   bench_guard send PORT MIB     prints the nanoseconds of sending that much over one connection */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

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

int main(int count, char **given) {
    if (count == 2 && !strcmp(given[1], "serve")) return serve();
    if (count != 4) return 64;
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(atoi(given[2])),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int amount = atoi(given[3]), sending = !strcmp(given[1], "send");
    for (int i = 0; i < (sending ? 1 : amount); i++) {
        struct linger at_once = {1, 0};
        int one = socket(AF_INET, SOCK_STREAM, 0);
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
