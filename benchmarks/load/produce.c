/* librdkafka's producer without a language around it: in Python, making the messages takes longer than the broker does.
 *
 *   produce LIBRDKAFKA BOOTSTRAP TOPIC COUNT VALUES VALUE_BYTES [NAME=VALUE ...]
 *
 * Sends COUNT messages to partition 0, as fast as it can. VALUES is a file of values of VALUE_BYTES each, one behind
 * the other, which are taken in turn; NAME=VALUE are librdkafka's settings. One message goes before the clock starts, so
 * that connecting is not timed: the log is COUNT + 1 longer in the end. Prints "messages bytes seconds", without that
 * one; ends with 1 and a line on stderr where any message was not delivered.
 */
#define PROGRAM "produce"
#include "librdkafka.h"

#include <string.h>

#define A_CALL 1000
#define QUEUE_FULL (-184)
#define TIMEOUT_MS 120000

static const char *(*name_of)(int);

static void not_delivered(void *client, const Message *message, void *opaque) {
    (void)client, (void)opaque;
    if (message->err) die(name_of(message->err));
}

static char *read_values(const char *path, size_t each, long *count) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) die(path);
    long size = ftell(file);
    rewind(file);
    if (size <= 0 || each < 1 || size % (long)each) die("VALUES does not hold whole values");
    char *bytes = malloc((size_t)size);
    if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) die(path);
    fclose(file);
    *count = size / (long)each;
    return bytes;
}

int main(int argc, char **argv) {
    if (argc < 7) die("see the comment at the top of produce.c");
    open_library(argv[1]);
    void (*on_report)(void *, void (*)(void *, const Message *, void *)) = find("rd_kafka_conf_set_dr_msg_cb");
    int (*batch)(void *, int32_t, int, Message *, int) = find("rd_kafka_produce_batch");
    int (*poll)(void *, int) = find("rd_kafka_poll");
    int (*flush)(void *, int) = find("rd_kafka_flush");
    name_of = find("rd_kafka_err2str");

    void *conf = new_conf();
    set(conf, "bootstrap.servers", argv[2]);
    /* A report of each message that arrived would cost more than sending it. */
    set(conf, "delivery.report.only.error", "true");
    for (int i = 7; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (!equals) die("a setting without =");
        *equals = 0;
        set(conf, argv[i], equals + 1);
    }
    on_report(conf, not_delivered);
    void *client = new_client(PRODUCER, conf), *topic = new_topic(client, argv[3]);

    long count = atol(argv[4]), values;
    size_t each = (size_t)atol(argv[6]);
    char *bytes = read_values(argv[5], each, &values);
    static Message messages[A_CALL];
    messages[0].payload = bytes;
    messages[0].len = each;
    /* Flags 0: librdkafka neither copies the values nor frees them. */
    if (batch(topic, 0, 0, messages, 1) != 1 || flush(client, TIMEOUT_MS)) die("the first message did not arrive");

    struct timespec began;
    clock_gettime(CLOCK_MONOTONIC, &began);
    long value = 0;
    for (long sent = 0; sent < count;) {
        int n = count - sent < A_CALL ? (int)(count - sent) : A_CALL;
        for (int i = 0; i < n; i++) {
            messages[i] = (Message){.payload = bytes + (size_t)value * each, .len = each};
            value = value + 1 < values ? value + 1 : 0;
        }
        for (int first = 0; first < n;) { /* what the queue did not take is offered again */
            int taken = batch(topic, 0, 0, messages + first, n - first);
            if (taken < n - first) {
                if (messages[first + taken].err != QUEUE_FULL) die(name_of(messages[first + taken].err));
                poll(client, 1);
            }
            first += taken;
        }
        sent += n;
        poll(client, 0);
    }
    if (flush(client, TIMEOUT_MS)) die("not all messages arrived");
    report_and_exit(count, count * (int64_t)each, began);
}
