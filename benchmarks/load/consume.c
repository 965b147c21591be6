/* librdkafka's consumer without a language around it: in Python, making the messages takes longer than the broker does.
 *
 *   consume LIBRDKAFKA BOOTSTRAP TOPIC COUNT
 *
 * Reads partition 0 from its start; checks that offsets follow each other. Prints "messages bytes seconds".
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

typedef struct { /* rd_kafka_message_t of librdkafka's stable interface */
    int err;
    void *topic;
    int32_t partition;
    void *payload;
    size_t len;
    void *key;
    size_t key_len;
    int64_t offset;
    void *private;
} Message;

static void *library;

static void die(const char *what) {
    fprintf(stderr, "consume: %s\n", what);
    exit(1);
}

static void *find(const char *name) {
    void *found = dlsym(library, name);
    if (!found) die(name);
    return found;
}

int main(int argc, char **argv) {
    if (argc != 5) die("see the comment at the top of consume.c");
    library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
    if (!library) die(dlerror());
    void *(*conf_new)(void) = find("rd_kafka_conf_new");
    int (*conf_set)(void *, const char *, const char *, char *, size_t) = find("rd_kafka_conf_set");
    void *(*client_new)(int, void *, char *, size_t) = find("rd_kafka_new");
    void *(*topic_new)(void *, const char *, void *) = find("rd_kafka_topic_new");
    int (*start)(void *, int32_t, int64_t) = find("rd_kafka_consume_start");
    ssize_t (*batch)(void *, int32_t, int, Message **, size_t) = find("rd_kafka_consume_batch");
    void (*destroy)(Message *) = find("rd_kafka_message_destroy");

    /* Else it stops fetching for a second whenever its queue is full. */
    const char *settings[][2] = {
        {"bootstrap.servers", argv[2]}, {"queued.min.messages", "10000000"},
        {"queued.max.messages.kbytes", "1000000"}, {"fetch.queue.backoff.ms", "1"},
    };
    char error[512];
    void *conf = conf_new();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (conf_set(conf, settings[i][0], settings[i][1], error, sizeof error)) die(error);
    void *client = client_new(1, conf, error, sizeof error);
    if (!client) die(error);
    void *topic = topic_new(client, argv[3], NULL);
    static Message *messages[10000];
    int64_t count = atoll(argv[4]), next = 0, bytes = 0;
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    if (!topic || start(topic, 0, 0)) die("start");
    while (next < count) {
        ssize_t n = batch(topic, 0, 30000, messages, count - next < 10000 ? (size_t)(count - next) : 10000);
        if (n <= 0) die("nothing comes");
        for (ssize_t i = 0; i < n; i++) {
            if (messages[i]->err || messages[i]->offset != next) die("not the next record");
            next++;
            bytes += (int64_t)messages[i]->len;
            destroy(messages[i]);
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%lld %lld %.6f\n", (long long)next, (long long)bytes,
           (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9);
    fflush(stdout);
    _Exit(0); /* nothing to tell the broker */
}
