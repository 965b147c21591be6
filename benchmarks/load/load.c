/* Raw requests, from one thread that costs less than the broker it asks.
 *
 *   load requests HOST PORT CONNECTIONS IN_FLIGHT PER_SECOND COUNT FRAMES ERROR_AT
 *       COUNT requests over CONNECTIONS, at most IN_FLIGHT unanswered on each; fewer where SIGTERM ends it before. With
 *       PER_SECOND above 0 no more are sent than that, and each is timed from when it was due
 *   load end_to_end HOST PORT COUNT PRODUCE ERROR_AT FETCH OFFSET_AT FROM
 *       a produce at a time; from its first byte to the answer of a fetch that waits for it on another connection
 *
 * FRAMES is a file of whole frames, their size in front, which every connection sends in turn; PRODUCE, FETCH are files
 * of one frame. ERROR_AT is where, counted from behind the size, an answer has the error code that must be 0; OFFSET_AT
 * where the fetch frame has its offset.
 * Prints "requests seconds p50_us p99_us"; ends with 1 and a line on stderr where anything is wrong.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define IN_FLIGHT_MAX 1024
#define ANSWER_MAX (1 << 20)

typedef struct {
    int socket;
    long to_send, unanswered;
    size_t frame, written; /* the frame that is under way, and how much of it */
    uint8_t in[65536];
    size_t held;
    int64_t due_ns; /* when its next request is, where they are paced */
    int64_t sent_ns[IN_FLIGHT_MAX];
    long first, next; /* of sent_ns */
    int waits_to_write;
} Connection;

typedef struct {
    uint8_t *bytes;
    size_t *at; /* where each begins, and where the last one ends */
    size_t count;
} Frames;

static volatile sig_atomic_t is_over;

static void on_sigterm(int number) {
    (void)number;
    is_over = 1;
}

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static uint8_t *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size);
    if (!bytes || fread(bytes, 1, *size, file) != *size) die(path);
    fclose(file);
    return bytes;
}

static int dial(const char *host, const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) die("not an IPv4 address");
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (s < 0 || connect(s, (struct sockaddr *)&address, sizeof address)) die("connect");
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return s;
}

static uint32_t be32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, 4);
    return ntohl(value);
}

static Frames read_frames(const char *path) {
    size_t size, count = 0;
    Frames frames = {.bytes = read_file(path, &size)};
    for (size_t at = 0; at < size; at += 4 + be32(frames.bytes + at), count++)
        if (size - at < 4 || size - at - 4 < be32(frames.bytes + at)) die("not whole frames");
    frames.at = calloc(count + 1, sizeof *frames.at);
    if (!count || !frames.at) die("no frames");
    for (; frames.count < count; frames.count++)
        frames.at[frames.count + 1] = frames.at[frames.count] + 4 + be32(frames.bytes + frames.at[frames.count]);
    return frames;
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void report(int64_t *took_ns, long count, double seconds) {
    errno = 0;
    if (!count) die("nothing was answered");
    qsort(took_ns, (size_t)count, sizeof *took_ns, by_size);
    printf("%ld %.6f %.2f %.2f\n", count, seconds, (double)took_ns[count / 2] / 1e3,
           (double)took_ns[count * 99 / 100] / 1e3);
}

static void check_answer(const uint8_t *body, size_t size, size_t error_at) {
    if (size < error_at + 2) {
        errno = 0;
        die("a short answer");
    }
    if (body[error_at] || body[error_at + 1]) {
        fprintf(stderr, "load: the broker answered with error code %d\n",
                (int16_t)(body[error_at] << 8 | body[error_at + 1]));
        exit(1);
    }
}

/* `pace_ns` is between two requests of this connection; 0: as soon as it may. */
static void keep_sending(Connection *c, const Frames *frames, long in_flight, int64_t pace_ns, int poll) {
    int full = 0;
    while (c->to_send && (c->written || c->unanswered < in_flight)) {
        const uint8_t *frame = frames->bytes + frames->at[c->frame];
        size_t size = frames->at[c->frame + 1] - frames->at[c->frame];
        if (!c->written) c->sent_ns[c->next++ % IN_FLIGHT_MAX] = pace_ns ? c->due_ns : now_ns();
        ssize_t n = send(c->socket, frame + c->written, size - c->written, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) die("send");
            full = 1;
            if (!c->written) c->next--;
            break;
        }
        if (!c->written) {
            c->unanswered++;
            c->due_ns += pace_ns;
        }
        c->written += (size_t)n;
        if (c->written < size) {
            full = 1;
            break;
        }
        c->written = 0;
        c->frame = c->frame + 1 < frames->count ? c->frame + 1 : 0;
        c->to_send--;
    }
    if (full != c->waits_to_write) {
        struct epoll_event event = {.events = EPOLLIN | (full ? EPOLLOUT : 0), .data.ptr = c};
        epoll_ctl(poll, EPOLL_CTL_MOD, c->socket, &event);
        c->waits_to_write = full;
    }
}

/* Ticks PER_SECOND times a second. */
static int start_timer(double per_second, int poll) {
    int64_t each_ns = (int64_t)(1e9 / per_second);
    struct timespec each = {.tv_sec = each_ns / 1000000000, .tv_nsec = each_ns % 1000000000};
    struct itimerspec times = {.it_interval = each, .it_value = each};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (timer < 0 || timerfd_settime(timer, 0, &times, NULL)) die("timer");
    if (epoll_ctl(poll, EPOLL_CTL_ADD, timer, &event)) die("timer");
    return timer;
}

static void requests(char **argv) {
    long connections = atol(argv[2]), in_flight = atol(argv[3]), count = atol(argv[5]), scheduled = 0, done = 0;
    double per_second = atof(argv[4]);
    size_t error_at = (size_t)atol(argv[7]);
    Frames frames = read_frames(argv[6]);
    errno = 0;
    if (in_flight < 1 || in_flight > IN_FLIGHT_MAX || connections < 1 || count < connections) die("arguments");
    Connection *all = calloc((size_t)connections, sizeof *all);
    int64_t *took_ns = malloc((size_t)count * sizeof *took_ns);
    if (!all || !took_ns) die("memory");
    int poll = epoll_create1(0), timer = -1;
    for (long i = 0; i < connections; i++) {
        Connection *c = &all[i];
        c->socket = dial(argv[0], argv[1]);
        fcntl(c->socket, F_SETFL, O_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poll, EPOLL_CTL_ADD, c->socket, &event);
    }
    struct sigaction action = {.sa_handler = on_sigterm};
    sigaction(SIGTERM, &action, NULL);
    int64_t began = now_ns(), pace_ns = 0;
    if (per_second > 0) {
        timer = start_timer(per_second, poll);
        pace_ns = (int64_t)(1e9 / per_second) * connections;
    }
    for (long i = 0; i < connections; i++) {
        all[i].due_ns = began + pace_ns / connections * (i + 1);
        all[i].to_send = pace_ns ? 0 : count / connections + (i < count % connections);
        keep_sending(&all[i], &frames, in_flight, pace_ns, poll);
    }
    while (done < count && !is_over) {
        struct epoll_event events[256];
        int ready = epoll_wait(poll, events, 256, 30000);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        if (ready == 0) {
            errno = ETIMEDOUT;
            die("no answer");
        }
        for (int e = 0; e < ready; e++) {
            Connection *c = events[e].data.ptr;
            uint64_t ticks;
            if (!c) { /* the timer: whose turn it is may send one more */
                if (read(timer, &ticks, sizeof ticks) != sizeof ticks) continue;
                for (; ticks && scheduled < count; ticks--, scheduled++) {
                    Connection *next = &all[scheduled % connections];
                    next->to_send++;
                    keep_sending(next, &frames, in_flight, pace_ns, poll);
                }
                continue;
            }
            if (events[e].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                ssize_t n = recv(c->socket, c->in + c->held, sizeof c->in - c->held, 0);
                if (n == 0) {
                    errno = ECONNRESET;
                    die("closed by the broker");
                }
                if (n < 0 && errno != EAGAIN) die("recv");
                if (n > 0) c->held += (size_t)n;
                size_t at = 0;
                int64_t now = now_ns();
                while (c->held - at >= 4 && c->held - at >= 4 + be32(c->in + at)) {
                    uint32_t length = be32(c->in + at);
                    check_answer(c->in + at + 4, length, error_at);
                    took_ns[done++] = now - c->sent_ns[c->first++ % IN_FLIGHT_MAX];
                    c->unanswered--;
                    at += 4 + length;
                }
                memmove(c->in, c->in + at, c->held - at);
                c->held -= at;
            }
            keep_sending(c, &frames, in_flight, pace_ns, poll);
        }
    }
    report(took_ns, done, (double)(now_ns() - began) / 1e9);
}

static void send_all(int s, const uint8_t *bytes, size_t size) {
    for (size_t at = 0; at < size;) {
        ssize_t n = send(s, bytes + at, size - at, MSG_NOSIGNAL);
        if (n <= 0) die("send");
        at += (size_t)n;
    }
}

static size_t receive(int s, uint8_t *into) {
    uint8_t head[4];
    size_t held = 0, size = 4;
    uint8_t *to = head;
    for (int part = 0; part < 2; part++) {
        while (held < size) {
            ssize_t n = recv(s, to + held, size - held, 0);
            if (n <= 0) die("recv");
            held += (size_t)n;
        }
        if (part == 0) {
            size = be32(head);
            if (size > ANSWER_MAX) die("a big answer");
            held = 0;
            to = into;
        }
    }
    return size;
}

static void end_to_end(char **argv) {
    long count = atol(argv[2]);
    size_t produce_size, fetch_size, error_at = (size_t)atol(argv[4]), offset_at = (size_t)atol(argv[6]);
    uint8_t *produce = read_file(argv[3], &produce_size), *fetch = read_file(argv[5], &fetch_size);
    uint64_t offset = strtoull(argv[7], NULL, 10);
    int64_t *took_ns = malloc((size_t)count * sizeof *took_ns);
    uint8_t *answer = malloc(ANSWER_MAX);
    int writer = dial(argv[0], argv[1]), reader = dial(argv[0], argv[1]);
    struct timespec until_it_waits = {.tv_nsec = 300000};
    int64_t began = now_ns();
    for (long i = 0; i < count; i++, offset++) {
        for (int byte = 0; byte < 8; byte++) fetch[offset_at + (size_t)byte] = (uint8_t)(offset >> (56 - 8 * byte));
        send_all(reader, fetch, fetch_size);
        nanosleep(&until_it_waits, NULL);
        int64_t sent = now_ns();
        send_all(writer, produce, produce_size);
        if (receive(reader, answer) < produce_size / 2) {
            errno = 0;
            die("a fetch without the record");
        }
        took_ns[i] = now_ns() - sent;
        check_answer(answer, receive(writer, answer), error_at);
    }
    report(took_ns, count, (double)(now_ns() - began) / 1e9);
}

int main(int argc, char **argv) {
    if (argc == 10 && !strcmp(argv[1], "requests")) requests(argv + 2);
    else if (argc == 10 && !strcmp(argv[1], "end_to_end")) end_to_end(argv + 2);
    else {
        errno = EINVAL;
        die("see the comment at the top of load.c");
    }
    return 0;
}
