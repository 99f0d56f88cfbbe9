namespace Regatta.Chaos.Report

open System
open System.IO
open System.Text.Json
open System.Text.Json.Serialization

/// What a client was told: Answered (it was done), Refused (it was certainly not done), Unknown (it may or may not have been done).
type Outcome =
    | Answered
    | Refused
    | Unknown

/// A fault that was injected. Times are seconds since the start of the run; Until is infinity when it was never taken away.
/// Target is the timeline's lane: a node's name as in NodeEvent, or a kind of links ("link of clients"), or anything else; Note says on whom exactly, and what came of it.
type Fault = { Kind: string; Target: string; From: float; Until: float; Note: string }

/// Something that happened to a node: "started", "ready", "killed", "ended by itself: ...". The timeline reads the first word.
type NodeEvent = { Node: string; At: float; What: string }

/// One second of the operations of one kind: how many ended in it, by outcome, and the latencies of the answered ones in milliseconds.
type Second =
    { At: int
      Kind: string
      Answered: int
      Refused: int
      Unknown: int
      P50: float
      P99: float
      Max: float }

/// One call, in seconds since the start; Ended is infinity when it never came back.
type Call =
    { Client: string
      Node: string
      Kind: string
      What: string
      Answer: string
      Outcome: Outcome
      Began: float
      Ended: float }

/// How far a node (or a site) was behind the leader site. No milliseconds: it could not be said.
type Lag = { At: float; Node: string; Revisions: int64; Milliseconds: float option }

/// Void: too few operations to say anything.
type Verdict =
    | Passed
    | Failed
    | Void

/// Looked says how much the checker saw ("210,332 calls of 24 clients against 91,204 revisions").
type Check = { Name: string; Verdict: Verdict; Looked: string; Found: string list }

/// A failing history cut down to its core, and the sentence that says why it is impossible.
type Failure = { Check: string; Why: string; Core: Call list }

/// How often a kind of fault was injected, not counting those that came to nothing; a record has every kind of the catalogue, also those with 0.
type Count = { Kind: string; Times: int; What: string }

/// Everything the report says about one run. Length is in seconds; Sites has the number of nodes of each site, the leader site's first;
/// Calls is a sample, Operations the whole.
type RunRecord =
    { Verdict: Verdict
      Why: string
      Command: string
      Seed: int
      Commit: string
      Machine: string
      Started: DateTimeOffset
      Length: float
      Sites: int list
      Operations: int64
      Planted: string option
      Checks: Check list
      Faults: Fault list
      FaultCounts: Count list
      Nodes: NodeEvent list
      Rates: Second list
      Calls: Call list
      Lags: Lag list
      Failures: Failure list }

/// System.Text.Json knows records, lists and options, but no unions: a union without fields is its case's name.
module private Named =
    let outcomes = [ "answered", Answered; "refused", Refused; "unknown", Unknown ]
    let verdicts = [ "passed", Passed; "failed", Failed; "void", Void ]

    let case cases (name: string) =
        match cases |> List.tryFind (fun (known, _) -> known = name) with
        | Some(_, case) -> case
        | None -> raise (JsonException $"\"{name}\" is none of {cases |> List.map fst}")

    let name cases case = cases |> List.find (fun (_, known) -> known = case) |> fst

type private OutcomeConverter() =
    inherit JsonConverter<Outcome>()
    override _.Read(reader, _, _) = reader.GetString() |> string |> Named.case Named.outcomes
    override _.Write(writer, value, _) = writer.WriteStringValue(Named.name Named.outcomes value)

type private VerdictConverter() =
    inherit JsonConverter<Verdict>()
    override _.Read(reader, _, _) = reader.GetString() |> string |> Named.case Named.verdicts
    override _.Write(writer, value, _) = writer.WriteStringValue(Named.name Named.verdicts value)

/// run.json: a record on disk, from which the page can be made again.
[<CompilationRepresentation(CompilationRepresentationFlags.ModuleSuffix)>]
module RunRecord =
    let private options =
        let options =
            JsonSerializerOptions(
                NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
                UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
                RespectRequiredConstructorParameters = true
            )

        options.Converters.Add(OutcomeConverter())
        options.Converters.Add(VerdictConverter())
        options

    /// Writes the record as JSON, in place of what was there.
    let write (path: string) (record: RunRecord) =
        use file = File.Create path
        JsonSerializer.Serialize(file, record, options)

    /// Reads what `write` wrote; a JsonException when it is anything else.
    let read (path: string) : RunRecord =
        use file = File.OpenRead path

        match JsonSerializer.Deserialize<RunRecord>(file, options) |> Option.ofObj with
        | Some record -> record
        | None -> raise (JsonException $"{path} holds no run")
