import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;

/**
 * Keeps a copy of the list of companies up to date, and fetches only what changed since the last run.
 *
 * <pre>java Poll.java URL TOKEN_FILE COPY</pre>
 *
 * URL is the service (https://…), TOKEN_FILE holds the bearer token alone, COPY is the file that is kept: one JSON object
 * with the list's entity tag and its companies. The file is replaced as a whole once an answer has arrived to its end, so
 * tag and companies never contradict each other; a second run at the same time waits for the first. Prints errors only.
 * Needs Java 17 and nothing else: the companies are found by a pattern, where a real system would use its JSON library.
 */
public final class Poll {
    private static final Pattern COMPANY = Pattern.compile("\\{\"cvrNummer\":\"([0-9]{8})\"[^{}]*}");
    private static final Pattern TAG = Pattern.compile("\"tag\":\"((?:[^\"\\\\]|\\\\.)*)\"");
    private static final String NO_TAG = "\"\""; // matches nothing

    private Poll() {}

    public static void main(String[] arguments) throws Exception {
        String url = arguments[0];
        String token = Files.readString(Path.of(arguments[1])).strip();
        Path copy = Path.of(arguments[2]);
        try (FileChannel lock = FileChannel.open(
                Path.of(copy + ".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            lock.lock(); // until the channel is closed
            poll(url, token, copy);
        }
    }

    private static void poll(String url, String token, Path copy) throws Exception {
        String kept = Files.exists(copy) ? Files.readString(copy) : "";
        Matcher found = TAG.matcher(kept);
        HttpResponse<byte[]> answer = ask(url, token, found.find() ? found.group(1).replace("\\", "") : NO_TAG);
        Map<String, String> companies = new TreeMap<>();
        switch (answer.statusCode()) {
            case 200 -> read(list(answer), companies); // everything: replaces the copy
            case 226 -> { // what changed: replaces these companies in the copy
                read(kept, companies);
                read(list(answer), companies);
            }
            case 304 -> { // nothing changed
                return;
            }
            default -> throw new IOException(answer.statusCode() + ": " + body(answer));
        }
        String tag = answer.headers().firstValue("ETag").orElse(NO_TAG).replace("\"", "\\\"");
        Path unfinished = Path.of(copy + ".new");
        Files.writeString(unfinished,
            "{\"tag\":\"" + tag + "\",\"virksomheder\":[" + String.join(",", companies.values()) + "]}");
        try (FileChannel written = FileChannel.open(unfinished, StandardOpenOption.WRITE)) {
            written.force(true);
        }
        Files.move(unfinished, copy, StandardCopyOption.ATOMIC_MOVE);
    }

    /** The whole answer; an exception when it breaks off or takes too long. */
    private static HttpResponse<byte[]> ask(String url, String token, String tag) throws Exception {
        HttpClient client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(10))
            .build();
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + "/v1/Logins"))
            .header("Authorization", "Bearer " + token)
            .header("A-IM", "feed")
            .header("If-None-Match", tag)
            .header("Accept-Encoding", "gzip")
            .build();
        // The request's own timeout ends with the head of the answer.
        return client.sendAsync(request, HttpResponse.BodyHandlers.ofByteArray()).get(10, TimeUnit.MINUTES);
    }

    /** The body of a list: a pattern alone would take a page of a proxy for an empty one. */
    private static String list(HttpResponse<byte[]> answer) throws IOException {
        String body = body(answer);
        if (!body.startsWith("{\"virksomheder\":[")) {
            throw new IOException("no list: " + body);
        }
        return body;
    }

    private static String body(HttpResponse<byte[]> answer) throws IOException {
        byte[] body = answer.body();
        if (answer.headers().firstValue("Content-Encoding").filter("gzip"::equals).isPresent()) {
            body = new GZIPInputStream(new ByteArrayInputStream(body)).readAllBytes();
        }
        return new String(body, StandardCharsets.UTF_8);
    }

    private static void read(String text, Map<String, String> companies) {
        Matcher company = COMPANY.matcher(text);
        while (company.find()) {
            companies.put(company.group(1), company.group());
        }
    }
}
