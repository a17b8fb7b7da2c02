import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.regex.*;
import java.util.stream.*;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.admin.*;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.*;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.flink.table.api.*;
import org.apache.flink.table.catalog.Column;

/**
 * Lets a real Flink answer cases: Oracle BROKERS CASE_FOLDER...
 *
 * A script ends with a view `answer` and the line `-- answer`. Flink says which
 * types the view has; that line becomes a sink of these types and its INSERT, so
 * that types are compared too. Then Flink runs the script over the input and its
 * rows become expected.csv, or what it says against it expected.error.
 */
public class Oracle {
  static final String MARK = "-- answer";

  public static void main(String[] args) {
    for (int i = 1; i < args.length; i++) {
      Path folder = Path.of(args[i]);
      String said;
      try {
        Files.deleteIfExists(folder.resolve("expected.error"));
        Files.deleteIfExists(folder.resolve("expected.csv"));
        said = new Oracle(args[0], folder, "case" + i + "-" + System.nanoTime() + "-").answer();
      } catch (Throwable error) {
        said = causes(error);
        try { Files.writeString(folder.resolve("expected.error"), ""); Files.writeString(folder.resolve("flink.txt"), said); } catch (Exception ignored) { }
        said = "refused: " + said.lines().reduce((a, b) -> b).orElse("");
      }
      System.out.println(folder.getFileName() + " " + said);
    }
    System.exit(0);
  }

  final String brokers, prefix;
  final Path folder;

  Oracle(String brokers, Path folder, String prefix) { this.brokers = brokers; this.folder = folder; this.prefix = prefix; }

  static String causes(Throwable error) {
    StringBuilder text = new StringBuilder();
    for (Throwable e = error; e != null; e = e.getCause()) text.append(e.getMessage()).append('\n');
    return text.toString();
  }

  String answer() throws Exception {
    produce();
    Path out = Files.createTempDirectory("flink-answer");
    try {
      Configuration conf = new Configuration();
      for (String[] pair : new String[][] {
          {"parallelism.default", "1"}, {"execution.target", "local"}, {"execution.attached", "true"}, {"restart-strategy.type", "none"},
          {"rest.bind-address", "127.0.0.1"}, {"rest.address", "127.0.0.1"}, {"rest.bind-port", "18200-18299"}, {"taskmanager.numberOfTaskSlots", "1"},
          {"taskmanager.memory.network.min", "64m"}, {"taskmanager.memory.network.max", "64m"}, {"taskmanager.memory.managed.size", "256m"}})
        conf.setString(pair[0], pair[1]);
      TableEnvironment env = TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(conf).build());
      env.getConfig().set("table.local-time-zone", "UTC");
      Path file = folder.resolve("query.sql");
      String script = Files.readString(file);
      for (String statement : script.split(";\\s*\n")) {
        statement = statement.strip();
        Matcher set = Pattern.compile("(?s)SET '([^']+)' = '([^']*)'").matcher(statement);
        if (set.matches()) env.getConfig().set(set.group(1), set.group(2));
        else if (!statement.isEmpty() && !statement.startsWith(MARK)) env.executeSql(redirected(statement));
      }
      String columns = env.sqlQuery("SELECT * FROM answer").getResolvedSchema().getColumns().stream()
          .map(column -> "`" + column.getName() + "` " + type(column)).collect(Collectors.joining(", "));
      String sink = "CREATE TABLE res (" + columns + ") WITH ('connector'='filesystem',";
      String insert = "INSERT INTO res SELECT * FROM answer";
      Files.writeString(file, script.replace(MARK, sink + "'path'='out/res','format'='parquet');\n" + insert + ";"));
      env.executeSql(sink + "'path'='" + out.resolve("res") + "','format'='csv','csv.null-literal'='NULL')");
      env.executeSql(insert).await();
      List<String> rows = new ArrayList<>();
      if (Files.isDirectory(out.resolve("res"))) try (Stream<Path> files = Files.walk(out.resolve("res"))) {
        for (Path part : files.filter(Files::isRegularFile).filter(p -> !p.getFileName().toString().matches("[._].*")).toList()) rows.addAll(Files.readAllLines(part));
      }
      Collections.sort(rows);
      Files.write(folder.resolve("expected.csv"), rows);
      return rows.size() + " rows";
    } finally {
      forget();
      try (Stream<Path> files = Files.walk(out)) { files.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete()); }
    }
  }

  static String type(Column column) {
    return column.getDataType().getLogicalType().copy(true).toString().replace(" *ROWTIME*", "").replace(" *PROCTIME*", "").replace("VARCHAR(2147483647)", "STRING");
  }

  String redirected(String statement) {
    return statement.replaceAll("'topic'='([^']+)'", "'topic'='" + prefix + "$1','scan.watermark.emit.strategy'='on-event'").replace("localhost:9092", brokers);
  }

  Properties client() {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", brokers);
    properties.put("key.serializer", ByteArraySerializer.class.getName());
    properties.put("value.serializer", ByteArraySerializer.class.getName());
    return properties;
  }

  /** input/TOPIC.PARTITION.jsonl, a message a line. */
  void produce() throws Exception {
    TreeMap<String, TreeMap<Integer, Path>> topics = new TreeMap<>();
    try (Stream<Path> files = Files.list(folder.resolve("input"))) {
      for (Path file : files.toList()) {
        String[] parts = file.getFileName().toString().split("\\.");
        topics.computeIfAbsent(parts[0], name -> new TreeMap<>()).put(Integer.parseInt(parts[1]), file);
      }
    }
    try (AdminClient admin = AdminClient.create(client()); KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(client())) {
      for (var topic : topics.entrySet()) {
        String name = prefix + topic.getKey();
        admin.createTopics(List.of(new NewTopic(name, topic.getValue().lastKey() + 1, (short) 1))).all().get();
        Thread.sleep(50);
        for (var partition : topic.getValue().entrySet()) {
          long timestamp = 0;
          for (String line : Files.readAllLines(partition.getValue()))
            producer.send(new ProducerRecord<>(name, partition.getKey(), timestamp++, null, line.getBytes(StandardCharsets.UTF_8)));
        }
      }
      producer.flush();
    }
  }

  void forget() {
    try (AdminClient admin = AdminClient.create(client())) {
      admin.deleteTopics(admin.listTopics().names().get().stream().filter(name -> name.startsWith(prefix)).toList()).all().get();
    } catch (Exception leftBehind) { /* a topic more on a broker that is thrown away */ }
  }
}
