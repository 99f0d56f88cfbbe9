namespace Regatta.Toxiproxy.Tests

open System
open System.Net.Http
open System.Text
open System.Text.Json.Nodes
open System.Threading.Tasks
open Expecto
open Regatta.Testing
open Regatta.Toxiproxy

/// What came back to a request written by hand.
type RawReply = { Status: int; ContentType: string; Body: string }

/// The server under test, as it is seen from outside.
type Subject(url: Uri) =
    let http = new HttpClient(BaseAddress = url)
    let client = ToxiproxyClient(http, url)

    member _.Client = client

    member _.SendAsync(method: string, path: string, ?body: string, ?userAgent: string) =
        task {
            use request = new HttpRequestMessage(HttpMethod method, path)
            body |> Option.iter (fun text -> request.Content <- new StringContent(text, Encoding.UTF8, "application/json"))
            userAgent |> Option.iter (fun agent -> request.Headers.TryAddWithoutValidation("User-Agent", agent) |> ignore)
            use! response = http.SendAsync(request, Deadline.token ())
            // As it was sent: once it is parsed, it is put in shape.
            let found, contentType = response.Content.Headers.NonValidated.TryGetValues "Content-Type"
            let contentType = if found then string contentType else ""
            let! text = response.Content.ReadAsStringAsync()
            return { Status = int response.StatusCode; ContentType = contentType; Body = text }
        }

    interface IDisposable with
        member _.Dispose() = http.Dispose()

module Subject =
    /// The one place that says which server the tests run against: this process's own, or the one of TOXIPROXY_URL.
    let private elsewhere =
        match Environment.GetEnvironmentVariable "TOXIPROXY_URL" with
        | null
        | "" -> None
        | url -> Some(Uri url)

    let private succeed what (outcome: Task<Result<'a, ToxiproxyError>>) =
        task {
            match! outcome with
            | Ok value -> return value
            | Error error -> return failtest $"{what}: {error}"
        }

    /// The value, or the test fails.
    let ok outcome = succeed "the server refuses" outcome

    /// The error, or the test fails.
    let refused (outcome: Task<Result<'a, ToxiproxyError>>) =
        task {
            match! outcome with
            | Ok value -> return failtest $"the server should have refused, but answers {value}"
            | Error error -> return error
        }

    let private removeAll (subject: Subject) =
        task {
            let! proxies = ok (subject.Client.ProxiesAsync(Deadline.token ()))

            for proxy in proxies.Keys do
                do! ok (subject.Client.DeleteProxyAsync(proxy, Deadline.token ()))
        }

    let private onOwn seed (body: Subject -> Task<unit>) =
        task {
            let! server = ToxiproxyServer.StartAsync(Some seed, Deadline.token ())

            // What its end finds out fails the test, too.
            use _ =
                { new IAsyncDisposable with
                    member _.DisposeAsync() =
                        ValueTask(Afterwards.checkAsync (fun () -> task { do! (server :> IAsyncDisposable).DisposeAsync() })) }

            use subject = new Subject(server.Url)
            do! body subject
        }

    /// With a server of this process, whose draws come from this seed.
    let using seed (body: Subject -> Task<unit>) = Afterwards.run (fun () -> onOwn seed body)

    let private onElsewhere (url: Uri) (body: Subject -> Task<unit>) =
        task {
            use subject = new Subject(url)
            do! removeAll subject
            do! body subject
        }

    /// A test that every Toxiproxy server passes.
    let test name (body: Subject -> Task<unit>) =
        testCaseTask name (fun () ->
            match elsewhere with
            | Some url -> onElsewhere url body
            | None -> using Seed.current body)

    /// A test of what only our own server promises.
    let testOwn name (body: Subject -> Task<unit>) =
        testCaseTask name (fun () ->
            match elsewhere with
            | Some _ -> skiptest "it is about the server of this repository"
            | None -> using Seed.current body)

module Raw =
    let json (reply: RawReply) =
        match JsonNode.Parse reply.Body with
        | null -> failtest "the body is null"
        | node -> node

    /// Compares JSON, whatever the order of the fields.
    let same (actual: JsonNode) (expected: string) what =
        if not (JsonNode.DeepEquals(actual, JsonNode.Parse expected)) then
            failtest $"{what}: expected {expected}, got {actual.ToJsonString()}"

    /// An error as the API has them: JSON that is called text.
    let refusal (reply: RawReply) status (message: string) =
        Expect.equal reply.Status status $"status of {reply.Body}"
        Expect.equal reply.ContentType "text/plain; charset=utf-8" "content type"
        let error = json reply
        Expect.equal (string error["error"]) message "error"
        Expect.equal (string error["status"]) (string status) "status in the body"

    /// A body that is refused: the words after the beginning are the server's own.
    let badBody (reply: RawReply) =
        Expect.equal reply.Status 400 $"status of {reply.Body}"
        Expect.equal reply.ContentType "text/plain; charset=utf-8" "content type"
        let error = json(reply)["error"] |> string
        Expect.stringStarts error "bad request body: " "error"

    let isJson (reply: RawReply) status =
        Expect.equal reply.Status status $"status of {reply.Body}"
        Expect.equal reply.ContentType "application/json" "content type"
