/* librdkafka's consumer without a language around it: in Python, making the messages takes longer than the broker does.
 *
 *   consume LIBRDKAFKA BOOTSTRAP TOPIC COUNT
 *
 * Reads partition 0 from its start; checks that offsets follow each other. Prints "messages bytes seconds".
 */
#define PROGRAM "consume"
#include "librdkafka.h"

int main(int argc, char **argv) {
    if (argc != 5) die("see the comment at the top of consume.c");
    open_library(argv[1]);
    int (*start)(void *, int32_t, int64_t) = find("rd_kafka_consume_start");
    ssize_t (*batch)(void *, int32_t, int, Message **, size_t) = find("rd_kafka_consume_batch");
    void (*destroy)(Message *) = find("rd_kafka_message_destroy");

    /* Else it stops fetching for a second whenever its queue is full. */
    const char *settings[][2] = {
        {"bootstrap.servers", argv[2]}, {"queued.min.messages", "10000000"},
        {"queued.max.messages.kbytes", "1000000"}, {"fetch.queue.backoff.ms", "1"},
    };
    void *conf = new_conf();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) set(conf, settings[i][0], settings[i][1]);
    void *topic = new_topic(new_client(CONSUMER, conf), argv[3]);
    static Message *messages[10000];
    int64_t count = atoll(argv[4]), next = 0, bytes = 0;
    struct timespec began;
    clock_gettime(CLOCK_MONOTONIC, &began);
    if (start(topic, 0, 0)) die("start");
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
    report_and_exit(next, bytes, began);
}
