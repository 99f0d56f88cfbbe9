namespace Regatta.Chaos

open System
open System.Net.Http
open System.Threading
open System.Threading.Tasks
open Regatta.Toxiproxy

/// Who reaches a node by a link.
type From =
    | Clients
    /// Of the same site: where Raft's messages, states and the calls between nodes go.
    | Node of Place
    /// Of a follower site: pulls, probes, whole states and writes that are passed on.
    | Follower of Place

/// One way to one node, through a proxy of its own.
type Link = { From: From; To: Place }

module Link =
    let name link =
        let from =
            match link.From with
            | Clients -> "clients"
            | Node place -> Place.name place
            | Follower place -> Place.name place

        $"{from}>{Place.name link.To}"

/// All links of a run, and what is done to them: Toxiproxy's proxies, of the server in this process or, with TOXIPROXY_URL, of another one. Thread-safe.
type Links private (http: HttpClient, client: ToxiproxyClient, ports: Map<Link, int>) =
    static let must what (call: Task<Result<'a, ToxiproxyError>>) =
        task {
            match! call with
            | Ok value -> return value
            | Error error -> return failwith $"Toxiproxy refused to %s{what}: {error.Status} {error.Message}"
        }

    let mutable toxics = 0
    let changing = new SemaphoreSlim(1, 1)
    let cuts = Collections.Generic.Dictionary<Link, int>()

    let cutsOf link =
        match cuts.TryGetValue link with
        | true, count -> count
        | _ -> 0


    /// A proxy for each link, at a port of its own, to the port that it leads to. Proxies that are disabled give their ports up, so these must be none that the system gives to others.
    static member Open(server: Uri, upstreams: (Link * int * int) list) =
        task {
            let http = new HttpClient(new SocketsHttpHandler(UseProxy = false))
            let client = ToxiproxyClient(http, server)
            do! must "reset" (client.ResetAsync CancellationToken.None)
            let! before = must "list proxies" (client.ProxiesAsync CancellationToken.None)

            for old in before.Keys do
                do! must $"delete {old}" (client.DeleteProxyAsync(old, CancellationToken.None))

            for link, listen, port in upstreams do
                let proxy: NewProxy =
                    { Name = Link.name link
                      Listen = $"127.0.0.1:{listen}"
                      Upstream = $"127.0.0.1:{port}"
                      Enabled = true }

                let! _ = must $"make {proxy.Name}" (client.CreateProxyAsync(proxy, CancellationToken.None))
                ()

            return new Links(http, client, Map [ for link, listen, _ in upstreams -> link, listen ])
        }

    /// Where to reach a node by a link.
    member _.Port(link: Link) = ports[link]

    member _.All = ports.Keys |> List.ofSeq

    /// Nobody gets through, and all connections are closed. A link that is cut twice must be mended twice.
    member _.Cut(link: Link) =
        task {
            do! changing.WaitAsync()

            try
                cuts[link] <- 1 + cutsOf link

                if cuts[link] = 1 then
                    let! _ = must "disable a proxy" (client.UpdateProxyAsync(Link.name link, ProxyChange.disable, CancellationToken.None))
                    ()
            finally
                changing.Release() |> ignore
        }

    member _.Mend(link: Link) =
        task {
            do! changing.WaitAsync()

            try
                cuts[link] <- cuts[link] - 1

                if cuts[link] = 0 then
                    let! _ = must "enable a proxy" (client.UpdateProxyAsync(Link.name link, ProxyChange.enable, CancellationToken.None))
                    ()
            finally
                changing.Release() |> ignore
        }

    /// Adds a toxic; what takes it away again.
    member _.Poison(link: Link, stream: Stream, toxic: Toxic, toxicity: float) =
        task {
            let name = $"toxic-{Interlocked.Increment &toxics}"

            let added: NewToxic = { Name = Some name; Toxic = toxic; Stream = stream; Toxicity = float32 toxicity }

            let! _ = must "add a toxic" (client.AddToxicAsync(Link.name link, added, CancellationToken.None))
            return fun () -> must "remove a toxic" (client.RemoveToxicAsync(Link.name link, name, CancellationToken.None))
        }

    interface IDisposable with
        member _.Dispose() =
            changing.Dispose()
            http.Dispose()
