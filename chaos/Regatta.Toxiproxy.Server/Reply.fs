/// The JSON of the replies.
module internal Regatta.Toxiproxy.Server.Reply

open System.IO
open System.Text.Json

let private json (write: Utf8JsonWriter -> unit) =
    use buffer = new MemoryStream()

    do
        use writer = new Utf8JsonWriter(buffer)
        write writer

    buffer.ToArray()

let private writeObject (writer: Utf8JsonWriter) (content: unit -> unit) =
    writer.WriteStartObject()
    content ()
    writer.WriteEndObject()

let private writeArray (writer: Utf8JsonWriter) (write: Utf8JsonWriter -> 'a -> unit) (items: 'a list) =
    writer.WriteStartArray()
    List.iter (write writer) items
    writer.WriteEndArray()

let private typeAndAttributes kind =
    match kind with
    | Kind.Latency(latency, jitter) -> "latency", [ "latency", latency; "jitter", jitter ]
    | Kind.Bandwidth rate -> "bandwidth", [ "rate", rate ]
    | Kind.SlowClose delay -> "slow_close", [ "delay", delay ]
    | Kind.Timeout timeout -> "timeout", [ "timeout", timeout ]
    | Kind.ResetPeer timeout -> "reset_peer", [ "timeout", timeout ]
    | Kind.Slicer(average, variation, delay) -> "slicer", [ "average_size", average; "size_variation", variation; "delay", delay ]
    | Kind.LimitData bytes -> "limit_data", [ "bytes", bytes ]
    | Kind.Noop -> "noop", []

let private writeToxic (writer: Utf8JsonWriter) (toxic: Toxic) =
    let name, attributes = typeAndAttributes toxic.Kind

    writeObject writer (fun () ->
        writer.WritePropertyName "attributes"

        writeObject writer (fun () ->
            for attribute, value in attributes do
                writer.WriteNumber(attribute, value))

        writer.WriteString("name", toxic.Name)
        writer.WriteString("type", name)
        writer.WriteString("stream", toxic.Stream)
        writer.WriteNumber("toxicity", toxic.Toxicity))

let private writeProxy (writer: Utf8JsonWriter) (proxy: Proxy) =
    writeObject writer (fun () ->
        writer.WriteString("name", proxy.Name)
        writer.WriteString("listen", proxy.Listen)
        writer.WriteString("upstream", proxy.Upstream)
        writer.WriteBoolean("enabled", proxy.Enabled)
        writer.WritePropertyName "toxics"
        writeArray writer writeToxic proxy.Toxics.All)

let private writeRefusal (writer: Utf8JsonWriter) (refusal: Refusal) =
    writer.WriteString("error", refusal.Message)
    writer.WriteNumber("status", refusal.Status)

let toxic value = json (fun writer -> writeToxic writer value)
let toxics values = json (fun writer -> writeArray writer writeToxic values)
let proxy value = json (fun writer -> writeProxy writer value)

/// By name, in the names' order.
let proxies (values: Proxy list) =
    json (fun writer ->
        writeObject writer (fun () ->
            for value in values do
                writer.WritePropertyName value.Name
                writeProxy writer value))

/// The proxies that there are now, and the refusal that kept the others from being made. No proxies are null, as in the original.
let populated (values: Proxy list) (refusal: Refusal option) =
    json (fun writer ->
        writeObject writer (fun () ->
            Option.iter (writeRefusal writer) refusal
            writer.WritePropertyName "proxies"

            match values with
            | [] -> writer.WriteNullValue()
            | values -> writeArray writer writeProxy values))

let refusal value = json (fun writer -> writeObject writer (fun () -> writeRefusal writer value))
let version (value: string) = json (fun writer -> writeObject writer (fun () -> writer.WriteString("version", value)))
