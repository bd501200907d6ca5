import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.util.HexFormat;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/** Writes every event of cases.json with one of Java's three binary encoders: `binary`, `direct` or `blocking`. */
public final class Encode {
  public static void main(String[] args) throws Exception {
    ObjectMapper json = new ObjectMapper();
    for (JsonNode found : json.readTree(new File(args[1]))) {
      Schema schema = new Schema.Parser().parse(found.get("schema").toString());
      int number = 0;
      for (JsonNode each : found.get("events")) {
        String text = each.get("event").toString();
        Object event = new GenericDatumReader<>(schema).read(null, DecoderFactory.get().jsonDecoder(schema, text));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        BinaryEncoder encoder = encoder(args[0], out);
        new GenericDatumWriter<>(schema).write(event, encoder);
        encoder.flush();
        String hex = HexFormat.of().formatHex(out.toByteArray());
        System.out.printf("{\"case\": \"%s\", \"event\": %d, \"hex\": \"%s\"}%n", found.get("name").asText(), number++, hex);
      }
    }
  }

  private static BinaryEncoder encoder(String kind, ByteArrayOutputStream out) {
    // The smallest block: an array of 40 tags takes several, each with its count and its size.
    EncoderFactory factory = new EncoderFactory().configureBlockSize(64);
    return switch (kind) {
      case "binary" -> factory.binaryEncoder(out, null);
      case "direct" -> factory.directBinaryEncoder(out, null);
      case "blocking" -> factory.blockingBinaryEncoder(out, null);
      default -> throw new IllegalArgumentException(kind);
    };
  }
}
