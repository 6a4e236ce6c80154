import java.net.URI;

class Fetch {
    public static void main(String[] given) throws Exception {
        System.out.write(URI.create(given[0]).toURL().openStream().readAllBytes());
        System.out.flush();
    }
}
