namespace Regatta.Toxiproxy

open System
open System.Net.Http
open System.Text
open System.Text.Json
open System.Text.Json.Nodes
open System.Threading
open System.Threading.Tasks

/// Toxiproxy's HTTP API. What the server refuses is a ToxiproxyError; when there is no server, or it does not speak the API, the methods throw
/// (HttpRequestException, InvalidDataException, JsonException). Safe for concurrent use. The HttpClient stays the caller's, and its Timeout bounds each call.
type ToxiproxyClient(http: HttpClient, server: Uri) =
    let path (segments: string list) = "/" + (segments |> List.map Uri.EscapeDataString |> String.concat "/")

    /// Errors are JSON, but what the server's HTTP layer refuses itself (an unknown path, a wrong method) is not.
    let error (response: HttpResponseMessage) (body: string) =
        let message =
            try
                Json.text "error" (Json.parse body)
            with
            | :? JsonException
            | :? InvalidOperationException -> body.Trim()

        { Status = int response.StatusCode; Message = message }

    let call (method: HttpMethod) segments (body: JsonNode option) (read: string -> 'a) (token: CancellationToken) =
        task {
            use request = new HttpRequestMessage(method, Uri(server, path segments))

            match body with
            | Some node -> request.Content <- new StringContent(node.ToJsonString(), Encoding.UTF8, "application/json")
            | None -> ()

            use! response = http.SendAsync(request, token)
            let! text = response.Content.ReadAsStringAsync token
            return if response.IsSuccessStatusCode then Ok(read text) else Error(error response text)
        }

    let get segments read token = call HttpMethod.Get segments None (Json.parse >> read) token
    let post segments (body: JsonNode) read token = call HttpMethod.Post segments (Some body) (Json.parse >> read) token
    let patch segments (body: JsonNode) read token = call HttpMethod.Patch segments (Some body) (Json.parse >> read) token
    let delete segments token = call HttpMethod.Delete segments None ignore token

    /// The server's version.
    member _.VersionAsync(token: CancellationToken) : Task<Result<string, ToxiproxyError>> = get [ "version" ] (Json.text "version") token

    /// All proxies by name.
    member _.ProxiesAsync(token: CancellationToken) : Task<Result<Map<string, Proxy>, ToxiproxyError>> =
        get [ "proxies" ] Json.proxies token

    /// 400 without a name or an upstream, 409 when there is one of this name, 500 when it cannot listen.
    member _.CreateProxyAsync(proxy: NewProxy, token: CancellationToken) : Task<Result<Proxy, ToxiproxyError>> =
        post [ "proxies" ] (Json.ofNewProxy proxy) Json.proxy token

    /// 404 when there is none.
    member _.ProxyAsync(name: string, token: CancellationToken) : Task<Result<Proxy, ToxiproxyError>> =
        get [ "proxies"; name ] Json.proxy token

    /// 404 when there is none, 500 when it cannot listen: then it is down.
    member _.UpdateProxyAsync(name: string, change: ProxyChange, token: CancellationToken) : Task<Result<Proxy, ToxiproxyError>> =
        patch [ "proxies"; name ] (Json.ofChange change) Json.proxy token

    /// Closes its connections. 404 when there is none.
    member _.DeleteProxyAsync(name: string, token: CancellationToken) : Task<Result<unit, ToxiproxyError>> =
        delete [ "proxies"; name ] token

    /// Those of the upstream direction first. 404 without the proxy.
    member _.ToxicsAsync(proxy: string, token: CancellationToken) : Task<Result<ProxyToxic list, ToxiproxyError>> =
        get [ "proxies"; proxy; "toxics" ] Json.toxics token

    /// Becomes the last of its direction, on open connections, too. 404 without the proxy, 409 when it has one of this name.
    member _.AddToxicAsync(proxy: string, toxic: NewToxic, token: CancellationToken) : Task<Result<ProxyToxic, ToxiproxyError>> =
        post [ "proxies"; proxy; "toxics" ] (Json.ofNewToxic toxic) Json.proxyToxic token

    /// 404 without the proxy or the toxic.
    member _.ToxicAsync(proxy: string, name: string, token: CancellationToken) : Task<Result<ProxyToxic, ToxiproxyError>> =
        get [ "proxies"; proxy; "toxics"; name ] Json.proxyToxic token

    /// Type and stream stay as they are: of `toxic` only those attributes count that the type has. 404 without the proxy or the toxic.
    member _.UpdateToxicAsync
        (proxy: string, name: string, toxic: Toxic, toxicity: float32, token: CancellationToken)
        : Task<Result<ProxyToxic, ToxiproxyError>> =
        patch [ "proxies"; proxy; "toxics"; name ] (Json.ofToxicUpdate toxic toxicity) Json.proxyToxic token

    /// 404 without the proxy or the toxic.
    member _.RemoveToxicAsync(proxy: string, name: string, token: CancellationToken) : Task<Result<unit, ToxiproxyError>> =
        delete [ "proxies"; proxy; "toxics"; name ] token

    /// Enables all proxies and removes all toxics. 500 when a proxy cannot listen: the proxies after it stay as they were.
    member _.ResetAsync(token: CancellationToken) : Task<Result<unit, ToxiproxyError>> = call HttpMethod.Post [ "reset" ] None ignore token

    /// Makes these proxies. One that is there with the same addresses stays, with its toxics, and one with others is replaced. Nothing is removed.
    /// On a 500 the proxies before the one that cannot listen have been made.
    member _.PopulateAsync(proxies: NewProxy list, token: CancellationToken) : Task<Result<Proxy list, ToxiproxyError>> =
        post [ "populate" ] (Json.ofNewProxies proxies) Json.populated token
