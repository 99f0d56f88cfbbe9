/// The JSON of the API as the client writes and reads it. It shares nothing with the server's, so that each tests the other.
module internal Regatta.Toxiproxy.Json

open System.IO
open System.Text.Json.Nodes

let private invalid what = raise (InvalidDataException $"The Toxiproxy server sent {what}.")

let parse (text: string) =
    match JsonNode.Parse text with
    | null -> invalid "null for a body"
    | node -> node

let private field (name: string) (node: JsonNode) =
    match node[name] with
    | null -> invalid $"no {name} in {node.ToJsonString()}"
    | value -> value

let text name node = (field name node).GetValue<string>()
let private whole name node = (field name node).GetValue<int64>()

let private streamName stream =
    match stream with
    | Upstream -> "upstream"
    | Downstream -> "downstream"

let private attributes (fields: (string * int64) list) =
    let node = JsonObject()

    for name, value in fields do
        node[name] <- JsonValue.Create value

    node

let private typeAndAttributes toxic =
    match toxic with
    | Toxic.Latency(latency, jitter) -> "latency", [ "latency", latency; "jitter", jitter ]
    | Toxic.Bandwidth rate -> "bandwidth", [ "rate", rate ]
    | Toxic.SlowClose delay -> "slow_close", [ "delay", delay ]
    | Toxic.Timeout timeout -> "timeout", [ "timeout", timeout ]
    | Toxic.ResetPeer timeout -> "reset_peer", [ "timeout", timeout ]
    | Toxic.Slicer(size, variation, delay) -> "slicer", [ "average_size", size; "size_variation", variation; "delay", delay ]
    | Toxic.LimitData bytes -> "limit_data", [ "bytes", bytes ]
    | Toxic.Noop -> "noop", []

let private toxic node =
    let from = field "attributes" node

    match text "type" node with
    | "latency" -> Toxic.Latency(whole "latency" from, whole "jitter" from)
    | "bandwidth" -> Toxic.Bandwidth(whole "rate" from)
    | "slow_close" -> Toxic.SlowClose(whole "delay" from)
    | "timeout" -> Toxic.Timeout(whole "timeout" from)
    | "reset_peer" -> Toxic.ResetPeer(whole "timeout" from)
    | "slicer" -> Toxic.Slicer(whole "average_size" from, whole "size_variation" from, whole "delay" from)
    | "limit_data" -> Toxic.LimitData(whole "bytes" from)
    | "noop" -> Toxic.Noop
    | other -> invalid $"a toxic of the unknown type {other}"

let proxyToxic node : ProxyToxic =
    { Name = text "name" node
      Toxic = toxic node
      // The server keeps the letters as whoever added the toxic wrote them.
      Stream = if (text "stream" node).ToLowerInvariant() = "upstream" then Upstream else Downstream
      Toxicity = (field "toxicity" node).GetValue<float32>() }

let private items (node: JsonNode) =
    [ for item in node.AsArray() do
          match item with
          | null -> invalid "null in a list"
          | item -> item ]

let toxics node = items node |> List.map proxyToxic

let proxy node : Proxy =
    { Name = text "name" node
      Listen = text "listen" node
      Upstream = text "upstream" node
      Enabled = (field "enabled" node).GetValue<bool>()
      Toxics = toxics (field "toxics" node) }

let proxies (node: JsonNode) =
    Map
        [ for entry in node.AsObject() do
              match entry.Value with
              | null -> invalid "null for a proxy"
              | value -> entry.Key, proxy value ]

/// The server writes null for an empty list here.
let populated (node: JsonNode) =
    match node["proxies"] with
    | null -> []
    | list -> items list |> List.map proxy

let ofNewProxy (proxy: NewProxy) =
    let node = JsonObject()
    node["name"] <- JsonValue.Create proxy.Name
    node["listen"] <- JsonValue.Create proxy.Listen
    node["upstream"] <- JsonValue.Create proxy.Upstream
    node["enabled"] <- JsonValue.Create proxy.Enabled
    node

let ofNewProxies (proxies: NewProxy list) =
    let node = JsonArray()

    for proxy in proxies do
        node.Add(ofNewProxy proxy)

    node

let ofChange (change: ProxyChange) =
    let node = JsonObject()
    change.Listen |> Option.iter (fun listen -> node["listen"] <- JsonValue.Create listen)
    change.Upstream |> Option.iter (fun upstream -> node["upstream"] <- JsonValue.Create upstream)
    change.Enabled |> Option.iter (fun enabled -> node["enabled"] <- JsonValue.Create enabled)
    node

let ofNewToxic (added: NewToxic) =
    let kind, fields = typeAndAttributes added.Toxic
    let node = JsonObject()
    added.Name |> Option.iter (fun name -> node["name"] <- JsonValue.Create name)
    node["type"] <- JsonValue.Create kind
    node["stream"] <- JsonValue.Create(streamName added.Stream)
    node["toxicity"] <- JsonValue.Create added.Toxicity
    node["attributes"] <- attributes fields
    node

let ofToxicUpdate toxic (toxicity: float32) =
    let node = JsonObject()
    node["attributes"] <- attributes (snd (typeAndAttributes toxic))
    node["toxicity"] <- JsonValue.Create toxicity
    node
