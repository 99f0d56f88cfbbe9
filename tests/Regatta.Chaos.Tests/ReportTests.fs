module Regatta.Chaos.Tests.ReportTests

open System
open System.IO
open System.Net
open System.Text.Json
open System.Text.RegularExpressions
open Expecto
open FsCheck.FSharp
open Regatta.Chaos.Report
open Regatta.Testing

let private inFile action =
    let directory = Directory.CreateTempSubdirectory "regatta-report-"

    try
        action (Path.Combine(directory.FullName, "file"))
    finally
        directory.Delete true

let private page record =
    inFile (fun path ->
        Page.write path record
        File.ReadAllText path)

let private property name body = Property.test name 60 Records.record (fun _ -> Seq.empty) body

let private count (part: string) (whole: string) = whole.Split(part).Length - 1

let private data (page: string) =
    let block = Regex.Match(page, "<script id=\"data\" type=\"application/json\">(.*?)</script>", RegexOptions.Singleline)
    JsonDocument.Parse(block.Groups[1].Value).RootElement

/// The rows of a part of the page's data, each as its values' JSON; the columns in `texts` as the text they refer to.
let private rows (data: JsonElement) (part: string) texts =
    let text (place: JsonElement) = (data.GetProperty "texts").Item(place.GetInt32()).GetString() |> string
    let value column (value: JsonElement) = if List.contains column texts then text value else value.GetRawText()

    [ for row in (data.GetProperty part).EnumerateArray() -> [ for column, cell in Seq.indexed (row.EnumerateArray()) -> value column cell ] ]

let private time (seconds: float) = if Double.IsFinite seconds then JsonSerializer.Serialize(Math.Round(seconds, 5)) else "null"

let private roundTrip =
    property "a record written as JSON is read back as it was" (fun record ->
        inFile (fun path ->
            RunRecord.write path record
            Expect.equal (RunRecord.read path) record "the record read"))

let private foreignJson =
    testCase "a file that is no record is refused" (fun () ->
        for text in [ "{}"; "null"; "[]"; "{\"Verdict\":\"perhaps\"}" ] do
            inFile (fun path ->
                File.WriteAllText(path, text)
                Expect.throwsT<JsonException> (fun () -> RunRecord.read path |> ignore) text))

/// As long, and different where the text is, but of letters and digits only: the layout stays, nothing can be mistaken for a tag.
let private harmless =
    String.map (fun letter -> if Char.IsAsciiLetterOrDigit letter || Char.IsSurrogate letter then letter else 'x')

let private escaped =
    property "whatever texts a record has, the page has the tags and attributes that it has with harmless ones" (fun record ->
        let withoutValues tag = Regex.Replace(tag, "\"[^\"]*\"", "\"\"")

        let tags (page: string) = Regex.Matches(page, "<[^>]*>") |> Seq.map (fun tag -> withoutValues tag.Value) |> Seq.sort |> List.ofSeq

        Expect.equal (record |> page |> tags) (record |> Records.mapTexts harmless |> page |> tags) "the tags")

let private faultsThere =
    property "every fault is in the page's data" (fun record ->
        let expected =
            record.Faults |> List.map (fun fault -> [ fault.Kind; fault.Target; time fault.From; time fault.Until; fault.Note ])

        Expect.equal (rows (data (page record)) "faults" [ 0; 1; 4 ]) expected "the faults")

let private coreThere =
    property "every failing call is in the page's data, whole" (fun record ->
        let outcome outcome =
            match outcome with
            | Answered -> "0"
            | Refused -> "1"
            | Unknown -> "2"

        let row (call: Call) =
            [ call.Client; call.Node; call.Kind; call.What; call.Answer; outcome call.Outcome; time call.Began; time call.Ended ]

        let expected = record.Failures |> List.collect _.Core |> List.map row
        Expect.equal (rows (data (page record)) "core" [ 0; 1; 2; 3; 4 ]) expected "the calls")

let private checksThere =
    property "every check, finding, failure and kind of fault can be read on the page, and how to run it again" (fun record ->
        let page = page record

        let texts =
            [ yield! record.Checks |> List.collect (fun check -> check.Name :: check.Looked :: check.Found)
              yield! record.Failures |> List.collect (fun failure -> [ failure.Check; failure.Why ])
              yield! record.FaultCounts |> List.collect (fun count -> [ count.Kind; string count.Times; count.What ])
              record.Command
              record.Why
              record.Commit
              string record.Seed ]

        for text in texts do
            Expect.stringContains page $">{WebUtility.HtmlEncode text}<" "the page")

let private alone =
    testCase "the page refers to nothing but itself, and its script writes texts only as text" (fun () ->
        let failure =
            { Check = "linearizability"
              Why = "No order explains it."
              Core = List.truncate 3 Records.hour.Calls }

        let page = page { Records.hour with Failures = [ failure ] }

        for outside in
            [ "http:"
              "https:"
              "src="
              "url("
              "@import"
              "import("
              "fetch("
              "XMLHttpRequest"
              "innerHTML"
              "outerHTML"
              "insertAdjacentHTML"
              "document.write"
              "eval(" ] do
            Expect.equal (count outside page) 0 outside

        for reference in Regex.Matches(page, "href=(.)(.)") do
            Expect.equal reference.Value "href=\"#" "a reference is an anchor"

        for anchor in Regex.Matches(page, "href=\"#([a-z]+)\"") do
            Expect.stringContains page $"id=\"{anchor.Groups[1].Value}\"" "the anchor's section")

let private small =
    testCase "an hour makes a page of less than 8 MB" (fun () -> Expect.isLessThan (page Records.hour).Length 8_000_000 "characters")

let tests = testList "The report" [ roundTrip; foreignJson; escaped; faultsThere; coreThere; checksThere; alone; small ]
