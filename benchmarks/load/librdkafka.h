/* What `produce.c` and `consume.c` need of librdkafka, which they open from where confluent-kafka's wheel has it. */
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

enum { PRODUCER, CONSUMER };

static void *library;

static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", PROGRAM, what);
    exit(1);
}

static void *find(const char *name) {
    void *found = dlsym(library, name);
    if (!found) die(name);
    return found;
}

static void open_library(const char *path) {
    library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!library) die(dlerror());
}

static void *new_conf(void) {
    void *(*conf_new)(void) = find("rd_kafka_conf_new");
    return conf_new();
}

static void set(void *conf, const char *name, const char *value) {
    int (*conf_set)(void *, const char *, const char *, char *, size_t) = find("rd_kafka_conf_set");
    char error[512];
    if (conf_set(conf, name, value, error, sizeof error)) die(error);
}

static void *new_client(int kind, void *conf) {
    void *(*client_new)(int, void *, char *, size_t) = find("rd_kafka_new");
    char error[512];
    void *client = client_new(kind, conf, error, sizeof error);
    if (!client) die(error);
    return client;
}

static void *new_topic(void *client, const char *name) {
    void *(*topic_new)(void *, const char *, void *) = find("rd_kafka_topic_new");
    void *topic = topic_new(client, name, NULL);
    if (!topic) die("no topic");
    return topic;
}

static void report_and_exit(int64_t messages, int64_t bytes, struct timespec began) {
    struct timespec ended;
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%lld %lld %.6f\n", (long long)messages, (long long)bytes,
           (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9);
    fflush(stdout);
    _Exit(0); /* nothing more to tell the broker */
}
