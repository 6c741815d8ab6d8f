import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.sink.SinkConnector;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTask;

/**
 * The least HTTP sink on Kafka Connect: what it costs is a lower bound of what such a sink costs. It posts 100 records
 * as one JSON array and fails at any answer but 2xx. It maps, signs and retries nothing and reads no result.
 */
public final class LeastHttpSink extends SinkConnector {
    private static final String URL = "http.url";
    private Map<String, String> settings;

    @Override
    public void start(Map<String, String> given) {
        settings = given;
    }

    @Override
    public Class<? extends Task> taskClass() {
        return Posts.class;
    }

    @Override
    public List<Map<String, String>> taskConfigs(int most) {
        return Collections.nCopies(most, settings);
    }

    @Override public void stop() {}

    @Override
    public ConfigDef config() {
        return new ConfigDef().define(URL, ConfigDef.Type.STRING, ConfigDef.Importance.HIGH, "Where to post to");
    }

    @Override public String version() { return "1"; }

    /** Posts what it is given, call by call, before it returns: so what Connect commits was accepted. */
    public static final class Posts extends SinkTask {
        private static final int BATCH = 100;
        private final JsonConverter json = new JsonConverter();
        private final ByteArrayOutputStream body = new ByteArrayOutputStream(1 << 16);
        private HttpClient client;
        private HttpRequest.Builder request;

        @Override
        public void start(Map<String, String> settings) {
            json.configure(Map.of("schemas.enable", "false"), false);
            client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
            request = HttpRequest.newBuilder(URI.create(settings.get(URL))).timeout(Duration.ofSeconds(30));
            request.header("Content-Type", "application/json").header("Authorization", "not-signed");
        }

        @Override
        public void put(Collection<SinkRecord> records) {
            int held = 0;
            for (SinkRecord record : records) {
                body.write(held == 0 ? '[' : ',');
                body.writeBytes(json.fromConnectData(record.topic(), record.valueSchema(), record.value()));
                held = (held + 1) % BATCH;
                if (held == 0) post();
            }
            if (held > 0) post();
        }

        private void post() {
            body.write(']');
            HttpRequest call = request.POST(HttpRequest.BodyPublishers.ofByteArray(body.toByteArray())).build();
            body.reset();
            try {
                int status = client.send(call, HttpResponse.BodyHandlers.discarding()).statusCode();
                if (status / 100 != 2) throw new ConnectException("answered with " + status);
            } catch (IOException | InterruptedException error) {
                throw new ConnectException(error);
            }
        }

        @Override public void stop() {}
        @Override public String version() { return "1"; }
    }
}
