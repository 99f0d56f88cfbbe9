namespace Regatta.Toxiproxy.Server

/// What there is to know about a proxy when it is made.
type internal ProxyInput = { Name: string; Listen: string; Upstream: string; Enabled: bool }

/// A proxy: an address that leads to another one, through toxics. Its callers call it one at a time.
[<Sealed>]
type internal Proxy(name: string, listen: string, upstream: string, seed: int) =
    let toxics = ToxicChain seed
    let mutable listener: Listener option = None

    member _.Name = name
    member val Listen = listen with get, set
    member val Upstream = upstream with get, set
    member _.Enabled = listener.IsSome
    member _.Toxics = toxics

    /// Listens, if it does not yet.
    member proxy.StartAsync() =
        task {
            if proxy.Enabled then
                return Ok()
            else
                match! Address.resolveAsync proxy.Listen with
                | Error why -> return Error(Refusal.cannotListen $"listen tcp: {why}")
                | Ok address ->
                    match Listener.Start(address, proxy.Upstream, toxics) with
                    | Error why -> return Error(Refusal.cannotListen why)
                    | Ok started ->
                        listener <- Some started
                        proxy.Listen <- started.Address
                        return Ok()
        }

    /// Closes the listener and all connections. The toxics stay.
    member _.StopAsync() =
        task {
            match listener with
            | None -> ()
            | Some running ->
                listener <- None
                do! running.StopAsync()
        }

    /// Whether these addresses are others. Port 0 always is.
    member proxy.DiffersAsync(listen: string, upstream: string) =
        task {
            match! Address.resolveAsync listen with
            | Error why -> return Error(Refusal.cannotListen why)
            | Ok resolved -> return Ok(proxy.Listen <> string resolved || proxy.Upstream <> upstream)
        }

    /// Other addresses stop it first. When it cannot listen then, it stays stopped, with the new addresses.
    member proxy.UpdateAsync(input: ProxyInput) =
        task {
            match! proxy.DiffersAsync(input.Listen, input.Upstream) with
            | Error refusal -> return Error refusal
            | Ok differs ->
                if differs then
                    do! proxy.StopAsync()
                    proxy.Listen <- input.Listen
                    proxy.Upstream <- input.Upstream

                if input.Enabled then
                    return! proxy.StartAsync()
                else
                    do! proxy.StopAsync()
                    return Ok()
        }
