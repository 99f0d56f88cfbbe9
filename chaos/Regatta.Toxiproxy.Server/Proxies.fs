namespace Regatta.Toxiproxy.Server

open System
open System.Collections.Generic

/// All proxies of a server, and what the API does to them. Its callers call it one at a time.
[<Sealed>]
type internal Proxies(seed: int) =
    let proxies = SortedDictionary<string, Proxy> StringComparer.Ordinal

    let create (input: ProxyInput) = Proxy(input.Name, input.Listen, input.Upstream, Seed.ofName seed input.Name)

    let startAsync (input: ProxyInput) =
        task {
            let proxy = create input
            let! started = if input.Enabled then proxy.StartAsync() else task { return Ok() }

            match started with
            | Error refusal -> return Error refusal
            | Ok() ->
                proxies[input.Name] <- proxy
                return Ok proxy
        }

    /// One with the same addresses stays, enabled or not, as in the original.
    let placeAsync (input: ProxyInput) =
        task {
            match proxies.TryGetValue input.Name with
            | true, existing ->
                match! existing.DiffersAsync(input.Listen, input.Upstream) with
                | Error refusal -> return Error refusal
                | Ok false -> return Ok existing
                | Ok true ->
                    do! existing.StopAsync()
                    return! startAsync input
            | _ -> return! startAsync input
        }

    member _.All = List.ofSeq proxies.Values

    member _.Find name =
        match proxies.TryGetValue name with
        | true, proxy -> Ok proxy
        | _ -> Error Refusal.proxyNotFound

    member _.CreateAsync(input: ProxyInput) =
        task { if proxies.ContainsKey input.Name then return Error Refusal.proxyAlreadyExists else return! startAsync input }

    member _.RemoveAsync(proxy: Proxy) =
        task {
            do! proxy.StopAsync()
            proxies.Remove proxy.Name |> ignore
        }

    /// Those that were made or are there, and the refusal that ended it.
    member _.PopulateAsync(inputs: ProxyInput list) =
        task {
            let made = List<Proxy>()
            let mutable failed = None
            let mutable rest = inputs

            while failed.IsNone && not rest.IsEmpty do
                match! placeAsync rest.Head with
                | Ok proxy -> made.Add proxy
                | Error refusal -> failed <- Some refusal

                rest <- rest.Tail

            return List.ofSeq made, failed
        }

    /// Stops at the first proxy that cannot listen.
    member proxies.ResetAsync() =
        task {
            let mutable outcome = Ok()
            let mutable rest = proxies.All

            while Result.isOk outcome && not rest.IsEmpty do
                let! started = rest.Head.StartAsync()
                if Result.isOk started then rest.Head.Toxics.Clear()
                outcome <- started
                rest <- rest.Tail

            return outcome
        }

    member proxies.StopAsync() =
        task {
            for proxy in proxies.All do
                do! proxy.StopAsync()
        }
