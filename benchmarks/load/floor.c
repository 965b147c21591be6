/* What any broker must do for a produce request, and nothing else: how much of a figure is the kernel's.
 *
 *   floor PORT FILE ANSWER_BYTES
 *
 * Reads frames from the sockets that come to PORT on loopback, appends each to FILE, and answers with a frame of
 * ANSWER_BYTES (its size not counted): the request's correlation id, then zeros, which is to say no error. Looks at
 * nothing else, syncs nothing; empties FILE when the last connection is closed, as a topic is deleted after a measure.
 * Prints "ready" when it listens; a SIGTERM ends it. Ends with 1 and a line on stderr where the system refuses anything.
 */
#define _GNU_SOURCE /* accept4 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_MAX (1 << 20)
#define ANSWERS_MAX (1 << 16)
#define CORRELATION_ID_AT 4 /* behind the request's key and version */

typedef struct {
    int socket;
    size_t held;
    uint8_t in[FRAME_MAX]; /* of which the system gives what is touched */
} Connection;

static struct {
    int file, connections;
    off_t end;
    size_t answer_bytes;
} server;

static void die(const char *what) {
    fprintf(stderr, "floor: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
    exit(1);
}

static int listen_at(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    if (s < 0 || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one)) die("socket");
    if (bind(s, (struct sockaddr *)&address, sizeof address) || listen(s, 1024)) die("listen");
    return s;
}

static int accept_one(int listener, int poll) {
    int s = accept4(listener, NULL, NULL, SOCK_NONBLOCK), one = 1;
    if (s < 0) {
        if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR) return 0;
        die("accept");
    }
    Connection *c = calloc(1, sizeof *c);
    if (!c) die("memory");
    c->socket = s;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one)) die("TCP_NODELAY");
    if (epoll_ctl(poll, EPOLL_CTL_ADD, s, &event)) die("epoll_ctl");
    server.connections++;
    return 1;
}

static uint32_t be32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, 4);
    return ntohl(value);
}

static int send_answers(Connection *c, const uint8_t *answers, size_t size) {
    return !size || send(c->socket, answers, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* All whole frames that the connection holds. 0: there is no use in going on with it. */
static int answer(Connection *c) {
    static uint8_t answers[ANSWERS_MAX];
    size_t at = 0, filled = 0;
    while (c->held - at >= 4) {
        uint32_t size = be32(c->in + at), prefix = htonl((uint32_t)server.answer_bytes);
        if (size < CORRELATION_ID_AT + 4 || size > FRAME_MAX - 4) return 0;
        if (c->held - at < 4 + (size_t)size) break;
        if (filled + 4 + server.answer_bytes > sizeof answers) {
            if (!send_answers(c, answers, filled)) return 0;
            filled = 0;
        }
        uint8_t *frame = c->in + at + 4, *to = answers + filled;
        if (pwrite(server.file, frame, size, server.end) != (ssize_t)size) die("pwrite");
        server.end += size;
        memcpy(to, &prefix, 4);
        memcpy(to + 4, frame + CORRELATION_ID_AT, 4);
        memset(to + 8, 0, server.answer_bytes - 4);
        filled += 4 + server.answer_bytes;
        at += 4 + size;
    }
    memmove(c->in, c->in + at, c->held - at);
    c->held -= at;
    return send_answers(c, answers, filled);
}

static void hang_up(Connection *c) {
    close(c->socket); /* which takes it out of the epoll, too */
    free(c);
    if (--server.connections) return;
    if (ftruncate(server.file, 0)) die("ftruncate");
    server.end = 0;
}

static void serve(Connection *c) {
    ssize_t n = recv(c->socket, c->in + c->held, sizeof c->in - c->held, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n > 0) c->held += (size_t)n;
    if (n <= 0 || !answer(c)) hang_up(c);
}

int main(int argc, char **argv) {
    if (argc != 4) die("see the comment at the top of floor.c");
    server.answer_bytes = (size_t)atol(argv[3]);
    if (server.answer_bytes < 4 || server.answer_bytes > ANSWERS_MAX - 4) die("ANSWER_BYTES");
    server.file = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (server.file < 0) die(argv[2]);
    int listener = listen_at(atoi(argv[1])), poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event)) die("epoll");
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[1024];
        int ready = epoll_wait(poll, events, 1024, -1);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr) serve(events[i].data.ptr);
            else while (accept_one(listener, poll)); /* all: who waits here is not answered meanwhile */
        }
    }
}
