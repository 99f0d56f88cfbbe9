/// Request bodies, read as leniently as the original reads them: keys in any case, unknown ones ignored, null for none, and anything after the first value ignored.
module internal Regatta.Toxiproxy.Server.Body

open System
open System.Text.Json

/// The first JSON value of a body.
let parse (body: byte array) =
    try
        let mutable reader = Utf8JsonReader(ReadOnlySpan body)

        match JsonDocument.ParseValue(&reader) with
        | document -> Ok document.RootElement
    with :? JsonException as e ->
        Error(if body.Length = 0 then "EOF" else e.Message)

/// A field of an object: `fallback` when it is not there or null, an error when `read` cannot read it.
let field name (read: JsonElement -> 'a option) (what: string) (fallback: 'a) (body: JsonElement) =
    match body.ValueKind with
    | JsonValueKind.Null -> Ok fallback
    | JsonValueKind.Object ->
        let take found (property: JsonProperty) =
            match found with
            | Error _ -> found
            | Ok _ when not (property.Name.Equals(name, StringComparison.OrdinalIgnoreCase)) -> found
            | Ok _ when property.Value.ValueKind = JsonValueKind.Null -> found
            | Ok _ ->
                match read property.Value with
                | Some value -> Ok value
                | None -> Error $"{name} must be {what}"

        Seq.fold take (Ok fallback) (body.EnumerateObject())
    | _ -> Error "it must be an object"

let private ofKind (kind: JsonValueKind) (read: JsonElement -> 'a) (element: JsonElement) =
    if element.ValueKind = kind then Some(read element) else None

let text name fallback body =
    field name (ofKind JsonValueKind.String (fun element -> string (element.GetString()))) "a string" fallback body

let private readFlag (element: JsonElement) =
    match element.ValueKind with
    | JsonValueKind.True -> Some true
    | JsonValueKind.False -> Some false
    | _ -> None

let flag name fallback body = field name readFlag "true or false" fallback body

/// 1.0 and 1e3 are no integers here.
let private readWhole (element: JsonElement) =
    match element.ValueKind with
    | JsonValueKind.Number ->
        match Int64.TryParse(element.GetRawText()) with
        | true, value -> Some value
        | _ -> None
    | _ -> None

let whole name fallback body = field name readWhole "an integer" fallback body

let private readFraction (element: JsonElement) =
    match element.ValueKind with
    | JsonValueKind.Number ->
        match element.TryGetSingle() with
        | true, value when Single.IsFinite value -> Some value
        | _ -> None
    | _ -> None

let fraction name fallback body = field name readFraction "a number" fallback body

/// An object inside the object; null when it is not there.
let inner name body = field name (ofKind JsonValueKind.Object Some) "an object" None body

/// The items of a list; null is an empty one.
let items (body: JsonElement) =
    match body.ValueKind with
    | JsonValueKind.Null -> Ok []
    | JsonValueKind.Array -> Ok(List.ofSeq (body.EnumerateArray()))
    | _ -> Error "it must be an array"
