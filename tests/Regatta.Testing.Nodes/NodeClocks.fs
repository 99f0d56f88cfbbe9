namespace Regatta.Testing.Nodes

open System
open System.Collections.Generic
open System.IO
open System.Net.Http
open System.Threading.Tasks
open Regatta.Testing

/// The time of day as nodes see it, each its own, which can be set while they run (libfaketime); their other clocks go on. Where the library is not installed all have the machine's.
type NodeClocks(scratch: Scratch) =
    static let library =
        [ "x86_64-linux-gnu"; "aarch64-linux-gnu" ]
        |> List.map (fun machine -> $"/usr/lib/{machine}/faketime/libfaketimeMT.so.1")
        |> List.tryFind File.Exists

    static let http = new HttpClient(new SocketsHttpHandler(UseProxy = false), Timeout = TimeSpan.FromSeconds 10.0)
    let files = List<string>()

    let set (file: string) (offset: TimeSpan) =
        // In one step: a node may be reading it.
        File.WriteAllText(file + ".new", $"%+d{int64 offset.TotalSeconds}")
        File.Move(file + ".new", file, true)

    static member CanBeSet = library.IsSome

    /// The node with a clock of its own, the next one.
    member _.Give(start: NodeStart) =
        match library with
        | None -> start
        | Some path ->
            let file = Path.Combine(scratch.Sub "clocks", string files.Count)
            Directory.CreateDirectory(scratch.Sub "clocks") |> ignore
            files.Add file
            set file TimeSpan.Zero

            let environment =
                [ $"LD_PRELOAD={path}"
                  $"FAKETIME_TIMESTAMP_FILE={file}"
                  "FAKETIME_CACHE_DURATION=1"
                  "FAKETIME_DONT_FAKE_MONOTONIC=1"
                  "DONT_FAKE_MONOTONIC=1"
                  // Without it waits for a time by the monotonic clock end at once, and every thread that waits burns a core.
                  "FAKETIME_FORCE_MONOTONIC_FIX=0" ]

            { start with Prefix = "env" :: environment @ start.Prefix }

    member _.Count = files.Count

    /// Sets a clock to the machine's time and so much more, or less.
    member _.Jump(clock: int, offset: TimeSpan) = set files[clock] offset

    /// Until the node that listens there sees a time of day that is about so far from the machine's.
    member _.Shown(rest: int, offset: TimeSpan) =
        task {
            let mutable isShown = false

            while not isShown do
                use! reply = http.GetAsync $"http://127.0.0.1:{rest}/healthz"
                let off = reply.Headers.Date.Value - DateTimeOffset.UtcNow - offset
                isShown <- abs off.TotalMinutes < 10.0
                if not isShown then do! Task.Delay(TimeSpan.FromMilliseconds 20.0, TimeProvider.System)
        }
