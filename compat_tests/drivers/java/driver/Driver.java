import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.consumer.InvalidOffsetException;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnknownServerException;
import org.apache.kafka.common.protocol.Errors;

/** Kafka's own client, called from a scenario: compat_tests/drivers/__init__.py tells how they talk. */
public class Driver {
    interface Call {
        Object answer(JsonNode given) throws Exception;
    }

    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        Map<String, Call> calls = new HashMap<>();
        calls.putAll(new Admin(arguments[0]).calls());
        calls.putAll(new Producers(arguments[0]).calls());
        calls.putAll(new Consumers(arguments[0]).calls());
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode given = JSON.readTree(line);
            answers.println(JSON.writeValueAsString(answer(calls.get(given.get("do").textValue()), given)));
        }
        System.exit(0); // whatever is still open
    }

    static Object done(Runnable call) {
        call.run();
        return null;
    }

    private static Map<String, Object> answer(Call call, JsonNode given) {
        try {
            return Collections.singletonMap("result", call.answer(given));
        } catch (Exception failure) {
            return Map.of("error", code(failure), "message", Objects.toString(failure.getMessage(), ""));
        }
    }

    /** Kafka's name of the error that is at the bottom of it. */
    private static String code(Throwable failure) {
        if (failure instanceof TimeoutException) {
            return "TIMED_OUT";
        }
        if (failure instanceof ProducerFencedException) { // 2.1 knows it as INVALID_PRODUCER_EPOCH
            return "PRODUCER_FENCED";
        }
        if (failure instanceof InvalidOffsetException) { // NoOffsetForPartitionException too
            return "OFFSET_OUT_OF_RANGE";
        }
        Errors error = Errors.forException(failure);
        if (error != Errors.UNKNOWN_SERVER_ERROR || failure instanceof UnknownServerException) {
            return error.name();
        }
        boolean isWrapped = failure instanceof ExecutionException || failure instanceof InvocationTargetException
            || failure.getCause() instanceof ApiException;
        if (isWrapped) {
            return code(failure.getCause());
        }
        String name = failure.getClass().getSimpleName().replaceAll("(Exception|Error)$", "");
        return name.replaceAll("(?<=[a-z0-9])(?=[A-Z])", "_").toUpperCase();
    }
}
