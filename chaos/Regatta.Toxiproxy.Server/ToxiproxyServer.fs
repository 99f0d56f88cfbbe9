namespace Regatta.Toxiproxy

open System
open System.IO
open System.Net
open System.Threading
open System.Threading.Tasks
open Microsoft.AspNetCore.Builder
open Microsoft.AspNetCore.Hosting
open Microsoft.AspNetCore.Http
open Microsoft.AspNetCore.Http.Features
open Regatta.Toxiproxy.Server

/// Toxiproxy's server in this process: its HTTP API on a loopback port that the system chooses, and the proxies that are made through it.
/// Disposing it closes all proxies and their connections. Safe for concurrent use.
[<Sealed>]
type ToxiproxyServer private (web: WebApplication, proxies: Proxies, turn: SemaphoreSlim, url: Uri) =
    static let version = "2.12.0-regatta"

    /// What the client wrote, so that an encoded slash in a name counts as one, as in the original.
    static let pathOf (context: HttpContext) =
        let target =
            match context.Features.Get<IHttpRequestFeature>() with
            | null -> ""
            | request -> request.RawTarget

        Uri.UnescapeDataString(target.Split('?')[0]).Split '/' |> List.ofArray |> List.tail

    static let readAsync (request: HttpRequest) =
        task {
            use body = new MemoryStream()
            do! request.Body.CopyToAsync(body, request.HttpContext.RequestAborted)
            return body.ToArray()
        }

    static let answerAsync (routes: Routes) (turn: SemaphoreSlim) (context: HttpContext) : Task =
        task {
            let! body = readAsync context.Request
            do! turn.WaitAsync context.RequestAborted

            let! answer =
                task {
                    try
                        return! routes.AnswerAsync(context.Request.Method, pathOf context, string context.Request.Headers.UserAgent, body)
                    finally
                        turn.Release() |> ignore
                }

            context.Response.StatusCode <- answer.Status
            answer.ContentType |> Option.iter (fun kind -> context.Response.ContentType <- kind)

            if answer.Body.Length > 0 then
                context.Response.ContentLength <- answer.Body.Length
                do! context.Response.Body.WriteAsync(ReadOnlyMemory answer.Body)
        }

    /// The address of the API.
    member _.Url = url

    /// `seed` makes the draws of toxicity, jitter and pieces the same in each run with the same connections; None draws one.
    static member StartAsync(seed: int option, token: CancellationToken) =
        task {
            let builder = WebApplication.CreateEmptyBuilder(WebApplicationOptions())
            builder.WebHost.UseKestrelCore().ConfigureKestrel(fun options -> options.Listen(IPAddress.Loopback, 0)) |> ignore
            let web = builder.Build()
            let proxies = Proxies(seed |> Option.defaultWith Random.Shared.Next)
            let turn = new SemaphoreSlim 1
            let routes = Routes(proxies, version)
            web.Run(RequestDelegate(answerAsync routes turn))
            do! web.StartAsync token
            return new ToxiproxyServer(web, proxies, turn, Uri(Seq.head web.Urls))
        }

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    do! web.StopAsync()
                    // Nobody makes a proxy any more, not even a request that did not end in time.
                    do! turn.WaitAsync()
                    do! proxies.StopAsync()
                    do! web.DisposeAsync()
                }
            )
