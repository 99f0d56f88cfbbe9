namespace Regatta.Chaos.Report

open System
open System.Collections.Generic
open System.IO
open System.Text
open System.Text.Json

/// Every text of the page's data once; rows refer to it by its place.
type private Texts() =
    let places = Dictionary<string, int>()
    let texts = List<string>()
    member _.All = texts

    member _.Place(text: string) =
        match places.TryGetValue text with
        | true, place -> place
        | _ ->
            places[text] <- texts.Count
            texts.Add text
            texts.Count - 1

/// The data of the graphs as one JSON object of rows without names, so that an hour stays small. System.Text.Json escapes <, > and &: it may
/// stand in a script block as it is. report.js reads it (data.js).
module internal PageData =
    /// A sampled call's texts are cut to this many characters, those of a failing history are whole.
    let private shown = 160

    let private number (json: Utf8JsonWriter) (digits: int) (value: float) =
        if Double.IsFinite value then json.WriteNumberValue(Math.Round(value, digits)) else json.WriteNullValue()

    let private seconds json value = number json 5 value
    let private milliseconds json value = number json 2 value

    let private rows (json: Utf8JsonWriter) (name: string) (items: 'item list) row =
        json.WriteStartArray name

        for item in items do
            json.WriteStartArray()
            row item
            json.WriteEndArray()

        json.WriteEndArray()

    let private fault (json: Utf8JsonWriter) (texts: Texts) (fault: Fault) =
        json.WriteNumberValue(texts.Place fault.Kind)
        json.WriteNumberValue(texts.Place fault.Target)
        seconds json fault.From
        seconds json fault.Until
        json.WriteNumberValue(texts.Place fault.Note)

    let private event (json: Utf8JsonWriter) (texts: Texts) (event: NodeEvent) =
        json.WriteNumberValue(texts.Place event.Node)
        seconds json event.At
        json.WriteNumberValue(texts.Place event.What)

    let private rate (json: Utf8JsonWriter) (texts: Texts) (second: Second) =
        json.WriteNumberValue second.At
        json.WriteNumberValue(texts.Place second.Kind)
        json.WriteNumberValue second.Answered
        json.WriteNumberValue second.Refused
        json.WriteNumberValue second.Unknown
        milliseconds json second.P50
        milliseconds json second.P99
        milliseconds json second.Max

    let private outcome outcome =
        match outcome with
        | Answered -> 0
        | Refused -> 1
        | Unknown -> 2

    let private call (json: Utf8JsonWriter) (texts: Texts) (text: string -> string) (call: Call) =
        for part in [ call.Client; call.Node; call.Kind; text call.What; text call.Answer ] do
            json.WriteNumberValue(texts.Place part)

        json.WriteNumberValue(outcome call.Outcome)
        seconds json call.Began
        seconds json call.Ended

    let private lag (json: Utf8JsonWriter) (texts: Texts) (lag: Lag) =
        number json 2 lag.At
        json.WriteNumberValue(texts.Place lag.Node)
        json.WriteNumberValue lag.Revisions
        milliseconds json (lag.Milliseconds |> Option.defaultValue nan)

    let private write (json: Utf8JsonWriter) (record: RunRecord) =
        let texts = Texts()
        json.WriteStartObject()
        json.WriteNumber("length", (if Double.IsFinite record.Length then record.Length else 0.0))
        rows json "faults" record.Faults (fault json texts)
        rows json "events" record.Nodes (event json texts)
        rows json "rates" record.Rates (rate json texts)
        rows json "calls" record.Calls (call json texts (Show.cut shown))
        rows json "core" (record.Failures |> List.collect _.Core) (call json texts id)
        rows json "lags" record.Lags (lag json texts)
        json.WriteStartArray "texts"
        texts.All |> Seq.iter json.WriteStringValue
        json.WriteEndArray()
        json.WriteEndObject()

    let make record =
        use memory = new MemoryStream()

        do
            use json = new Utf8JsonWriter(memory)
            write json record

        Encoding.UTF8.GetString(memory.GetBuffer(), 0, int memory.Length)
