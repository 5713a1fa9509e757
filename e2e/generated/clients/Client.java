import java.time.OffsetDateTime;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.ApiResponse;
import org.openapitools.client.api.VirksomhedsloginApi;
import org.openapitools.client.model.Feltfejl;
import org.openapitools.client.model.GetVirksomhedsLoginResponseDtoCollection;
import org.openapitools.client.model.Problem;
import org.openapitools.client.model.SetVirksomhedsLoginDto;
import org.openapitools.client.model.SetVirksomhedsLoginRequestDto;
import org.openapitools.client.model.VirksomhedsLoginDto;

/** The calls of test_clients.py through the client that openapi-generator makes for Java's own HttpClient. */
final class Client {
    private interface Call {
        void run() throws ApiException;
    }

    private static ApiClient client;

    public static void main(String[] arguments) throws Exception {
        String number = arguments[2], other = arguments[3], unknown = arguments[4];
        client = new ApiClient();
        client.updateBaseUri(arguments[0]);
        client.setRequestInterceptor(request -> request
            .header("Authorization", "Bearer " + arguments[1])
            .header("Accept-Encoding", "gzip"));
        var api = new VirksomhedsloginApi(client);
        var result = new LinkedHashMap<String, Object>();

        result.put("set", api.setLoginWithHttpInfo(number, body(number), null, null, null).getStatusCode());
        var one = api.getLoginWithHttpInfo(number, null, null, null, null);
        VirksomhedsLoginDto login = one.getData().getVirksomhedsLoginDto();
        result.put("one", List.of(one.getStatusCode(), login.getCvrNummer(),
            millis(login.getTidligsteLoginTidspunkt()), millis(login.getSenesteLogintidspunkt())));
        result.put("one again", failed(() -> api.getLogin(number, null, null, null, tag(one))).getCode());

        var list = api.getLoginsWithHttpInfo(null, null, null, null, null);
        result.put("coding", list.getHeaders().get("content-encoding").get(0));
        result.put("list", numbers(list));
        result.put("list again", failed(() -> api.getLogins(null, null, null, tag(list), null)).getCode());
        api.setLogin(other, body(other), null, null, null);
        result.put("changes", numbers(api.getLoginsWithHttpInfo(null, null, null, tag(list), "feed")));

        result.put("unknown", problem(() -> api.getLogin(unknown, "generated", null, null, null)));
        result.put("mismatch", problem(() -> api.setLogin(number, body(other), "generated", null, null)));
        System.out.println(client.getObjectMapper().writeValueAsString(result));
    }

    private static SetVirksomhedsLoginRequestDto body(String number) {
        return new SetVirksomhedsLoginRequestDto().virksomhedsLoginDto(new SetVirksomhedsLoginDto().cvrNummer(number));
    }

    private static long millis(OffsetDateTime time) {
        return time.toInstant().toEpochMilli();
    }

    private static String tag(ApiResponse<?> response) {
        return response.getHeaders().get("etag").get(0);
    }

    private static List<Object> numbers(ApiResponse<GetVirksomhedsLoginResponseDtoCollection> response) {
        var numbers = response.getData().getVirksomheder().stream().map(VirksomhedsLoginDto::getCvrNummer).toList();
        return List.of(response.getStatusCode(), numbers);
    }

    private static ApiException failed(Call call) {
        try {
            call.run();
        } catch (ApiException exception) {
            return exception;
        }
        throw new IllegalStateException("the call did not fail");
    }

    private static Map<String, Object> problem(Call call) throws Exception {
        Problem problem = client.getObjectMapper().readValue(failed(call).getResponseBody(), Problem.class);
        var members = new LinkedHashMap<String, Object>();
        members.put("type", problem.getType());
        members.put("title", problem.getTitle());
        members.put("status", problem.getStatus());
        members.put("fejlkode", problem.getFejlkode());
        members.put("fejltekst", problem.getFejltekst());
        members.put("requestId", problem.getRequestId());
        // The generated type makes an empty list of one that is absent.
        if (!problem.getFejl().isEmpty()) {
            members.put("fejl", problem.getFejl().stream().map(Client::members).toList());
        }
        return members;
    }

    private static Map<String, String> members(Feltfejl fault) {
        return Map.of("felt", fault.getFelt(), "fejltekst", fault.getFejltekst());
    }
}
