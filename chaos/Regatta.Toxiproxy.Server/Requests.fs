/// What the requests' bodies say.
module internal Regatta.Toxiproxy.Server.Requests

open System.Text.Json

let private wellFormed reading = Result.mapError Refusal.badBody reading

let private readProxy (fallback: ProxyInput) body =
    wellFormed (
        result {
            let! name = Body.text "name" fallback.Name body
            let! listen = Body.text "listen" fallback.Listen body
            let! upstream = Body.text "upstream" fallback.Upstream body
            let! enabled = Body.flag "enabled" fallback.Enabled body
            return { Name = name; Listen = listen; Upstream = upstream; Enabled = enabled }
        }
    )

let private newProxy = { Name = ""; Listen = ""; Upstream = ""; Enabled = true }

/// `place` tells which one of several.
let private complete place (proxy: ProxyInput) =
    if proxy.Name = "" then Error(Refusal.missingField $"name{place}")
    elif proxy.Upstream = "" then Error(Refusal.missingField $"upstream{place}")
    else Ok proxy

let proxyToCreate body =
    result {
        let! json = wellFormed (Body.parse body)
        let! proxy = readProxy newProxy json
        return! complete "" proxy
    }

/// The name in the body is ignored.
let proxyUpdate (proxy: Proxy) body =
    result {
        let! json = wellFormed (Body.parse body)

        return!
            readProxy
                { Name = proxy.Name
                  Listen = proxy.Listen
                  Upstream = proxy.Upstream
                  Enabled = proxy.Enabled }
                json
    }

/// The results' values, or the first error.
let private all (results: Result<'a, Refusal> list) =
    List.foldBack (fun item rest -> Result.bind (fun value -> Result.map (fun values -> value :: values) rest) item) results (Ok [])

/// All are read before any is judged.
let proxiesToPopulate body =
    result {
        let! json = wellFormed (Body.parse body)
        let! items = wellFormed (Body.items json)
        let! proxies = all (items |> List.map (readProxy newProxy))
        return! all (proxies |> List.mapi (fun i proxy -> complete $" at proxy {i + 1}" proxy))
    }

/// The attributes, on top of those that `kind` has.
let private readAttributes kind (attributes: JsonElement option) =
    let whole name fallback =
        match attributes with
        | None -> Ok fallback
        | Some attributes -> wellFormed (Body.whole name fallback attributes)

    match kind with
    | Kind.Latency(latency, jitter) ->
        result {
            let! latency = whole "latency" latency
            let! jitter = whole "jitter" jitter
            return Kind.Latency(latency, jitter)
        }
    | Kind.Bandwidth rate ->
        result {
            let! rate = whole "rate" rate
            // The original takes it, and fails at the first byte.
            if rate < 0L then return! Error(Refusal.badBody "rate must not be negative")
            return Kind.Bandwidth rate
        }
    | Kind.SlowClose delay -> whole "delay" delay |> Result.map Kind.SlowClose
    | Kind.Timeout timeout -> whole "timeout" timeout |> Result.map Kind.Timeout
    | Kind.ResetPeer timeout -> whole "timeout" timeout |> Result.map Kind.ResetPeer
    | Kind.Slicer(average, variation, delay) ->
        result {
            let! average = whole "average_size" average
            let! variation = whole "size_variation" variation
            let! delay = whole "delay" delay
            return Kind.Slicer(average, variation, delay)
        }
    | Kind.LimitData bytes -> whole "bytes" bytes |> Result.map Kind.LimitData
    | Kind.Noop -> Ok Kind.Noop

let private kindOf name =
    match name with
    | "latency" -> Ok(Kind.Latency(0L, 0L))
    | "bandwidth" -> Ok(Kind.Bandwidth 0L)
    | "slow_close" -> Ok(Kind.SlowClose 0L)
    | "timeout" -> Ok(Kind.Timeout 0L)
    | "reset_peer" -> Ok(Kind.ResetPeer 0L)
    | "slicer" -> Ok(Kind.Slicer(0L, 0L, 0L))
    | "limit_data" -> Ok(Kind.LimitData 0L)
    | "noop" -> Ok Kind.Noop
    | _ -> Error Refusal.invalidToxicType

let private directionOf (stream: string) =
    match stream.ToLowerInvariant() with
    | "upstream" -> Ok Direction.Upstream
    | "downstream" -> Ok Direction.Downstream
    | _ -> Error Refusal.invalidStream

/// The errors come in the original's order; `exists` tells whether there is a toxic of a name.
let toxicToAdd (exists: string -> bool) body =
    result {
        let! json = wellFormed (Body.parse body)
        let! name = wellFormed (Body.text "name" "" json)
        let! kindName = wellFormed (Body.text "type" "" json)
        let! stream = wellFormed (Body.text "stream" "downstream" json)
        let! toxicity = wellFormed (Body.fraction "toxicity" 1.0f json)
        let! attributes = wellFormed (Body.inner "attributes" json)
        let! direction = directionOf stream
        let! kind = kindOf kindName
        let name = if name = "" then $"{kindName}_{stream}" else name
        if exists name then return! Error Refusal.toxicAlreadyExists
        let! kind = readAttributes kind attributes

        return { Name = name; Kind = kind; Stream = stream; Direction = direction; Toxicity = toxicity }
    }

/// Attributes that are not mentioned stay as they are, and so do name, type and stream whatever the body says.
let toxicUpdate (toxic: Toxic) body =
    result {
        let! json = wellFormed (Body.parse body)
        let! attributes = wellFormed (Body.inner "attributes" json)
        let! toxicity = wellFormed (Body.fraction "toxicity" toxic.Toxicity json)
        let! kind = readAttributes toxic.Kind attributes
        return { toxic with Kind = kind; Toxicity = toxicity }
    }
