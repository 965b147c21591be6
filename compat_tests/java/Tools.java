import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs command-line tools one after another in one JVM. A line of stdin is a class and its arguments, each in base 64;
 * the answer is a line with the exit code, and what the tool wrote to stdout and stderr, in base 64.
 */
public class Tools {
    private static volatile CompletableFuture<Integer> exitCode;

    public static void main(String[] unused) throws Exception {
        Exit.setExitProcedure((code, message) -> endTool(code));
        Exit.setHaltProcedure((code, message) -> endTool(code));
        PrintStream answers = System.out;
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = Arrays.stream(line.split(" "))
                .map(word -> new String(Base64.getDecoder().decode(word), StandardCharsets.UTF_8)).toArray(String[]::new);
            ByteArrayOutputStream written = new ByteArrayOutputStream();
            PrintStream stream = new PrintStream(written, true, StandardCharsets.UTF_8);
            System.setOut(stream);
            System.setErr(stream);
            exitCode = new CompletableFuture<>();
            Thread tool = new Thread(() -> run(words, stream));
            tool.setDaemon(true);
            tool.start();
            int code = exitCode.get();
            answers.println(code + " " + Base64.getEncoder().encodeToString(written.toByteArray()));
            answers.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    /** A tool that wants to exit goes no further. An exception would not do: some catch everything. */
    private static void endTool(int code) {
        exitCode.complete(code);
        while (true) {
            LockSupport.park();
        }
    }

    private static void run(String[] words, PrintStream stream) {
        // What Scala's println writes to is not System.out, but what that was at first.
        scala.Console.withOut(stream, () -> {
            try {
                Object arguments = Arrays.copyOfRange(words, 1, words.length);
                Class.forName(words[0]).getMethod("main", String[].class).invoke(null, arguments);
                exitCode.complete(0);
            } catch (InvocationTargetException failure) {
                failure.getCause().printStackTrace(stream);
                exitCode.complete(1);
            } catch (ReflectiveOperationException failure) {
                failure.printStackTrace(stream);
                exitCode.complete(1);
            }
            return null;
        });
    }
}
