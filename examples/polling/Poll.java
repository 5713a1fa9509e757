import java.io.IOException;
import java.io.InputStream;
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
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;

/**
 * Keeps a copy of the list of companies up to date, and fetches only what changed since the last run.
 *
 * <pre>java Poll.java URL TOKEN_FILE COPY</pre>
 *
 * URL is the service (https://…), TOKEN_FILE holds the bearer token alone, COPY is the file that is kept: one JSON object
 * with the list's entity tag and its companies. The file is replaced as a whole once an answer has arrived to its end; a
 * second run at the same time waits for the first. Needs Java 17 and nothing else: the companies are found by a pattern,
 * where a real system would use its JSON library.
 */
public final class Poll {
    private static final Pattern COMPANY = Pattern.compile("\\{\"cvrNummer\": ?\"([0-9]{8})\"[^{}]*}");
    private static final Pattern TAG = Pattern.compile("\"tag\": ?\"((?:[^\"\\\\]|\\\\.)*)\"");

    private Poll() {}

    public static void main(String[] arguments) throws IOException, InterruptedException {
        String url = arguments[0];
        String token = Files.readString(Path.of(arguments[1])).strip();
        Path copy = Path.of(arguments[2]);
        try (FileChannel lock = FileChannel.open(Path.of(copy + ".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            lock.lock(); // until the channel is closed
            String kept = Files.exists(copy) ? Files.readString(copy) : "";
            Matcher found = TAG.matcher(kept);
            String tag = found.find() ? found.group(1).replace("\\", "") : "\"\"";
            HttpResponse<InputStream> answer = ask(url, token, tag);
            Map<String, String> companies = new TreeMap<>();
            switch (answer.statusCode()) {
                case 200 -> read(body(answer), companies);
                case 226 -> {
                    read(kept, companies);
                    read(body(answer), companies);
                }
                case 304 -> { return; }
                default -> {
                    System.err.println(answer.statusCode() + ": " + body(answer));
                    System.exit(1);
                }
            }
            String newTag = answer.headers().firstValue("ETag").orElseThrow().replace("\"", "\\\"");
            Path unfinished = Path.of(copy + ".new");
            Files.writeString(unfinished, "{\"tag\":\"" + newTag + "\",\"virksomheder\":[" + String.join(",", companies.values()) + "]}");
            try (FileChannel written = FileChannel.open(unfinished, StandardOpenOption.WRITE)) {
                written.force(true);
            }
            Files.move(unfinished, copy, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    private static HttpResponse<InputStream> ask(String url, String token, String tag) throws IOException, InterruptedException {
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(10)).build();
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + "/v1/Logins"))
            .timeout(Duration.ofMinutes(10))
            .header("Authorization", "Bearer " + token)
            .header("A-IM", "feed")
            .header("If-None-Match", tag)
            .header("Accept-Encoding", "gzip")
            .build();
        return client.send(request, HttpResponse.BodyHandlers.ofInputStream());
    }

    /** The whole body; an exception when it breaks off. */
    private static String body(HttpResponse<InputStream> answer) throws IOException {
        boolean packed = answer.headers().firstValue("Content-Encoding").filter("gzip"::equals).isPresent();
        try (InputStream body = packed ? new GZIPInputStream(answer.body()) : answer.body()) {
            return new String(body.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static void read(String text, Map<String, String> companies) {
        Matcher company = COMPANY.matcher(text);
        while (company.find()) {
            companies.put(company.group(1), company.group());
        }
    }
}
