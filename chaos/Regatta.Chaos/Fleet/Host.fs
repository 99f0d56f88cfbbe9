namespace Regatta.Chaos

open System
open System.IO
open System.Threading.Tasks
open Regatta.Testing.Nodes

/// What a node keeps its files on.
[<NoComparison; NoEquality>]
type Storage =
    /// A file system of its own, which can lose its power and be full.
    | Own of Ext4Disk
    /// A directory: where the machine has no loop devices for us.
    | Shared of Scratch

/// One node: its process, which comes and goes, and its disk and clock, which stay. Of the methods that do something to it one runs at a time.
type Host(place: Place, storage: Storage, start: unit -> NodeStart, clock: int, journal: Journal) =
    static let patience = TimeSpan.FromSeconds 120.0
    let mutable running: NodeProcess option = None
    let mutable isPaused = false
    /// Something was done to it that may end it; what it says then.
    let mutable excuse: string option = None
    let mutable isKnownReady = false

    let root =
        match storage with
        | Own disk -> disk.Path
        | Shared scratch -> scratch.Path

    let data = Path.Combine(root, "data")

    let isExcused (node: NodeProcess) =
        excuse |> Option.exists (fun words -> node.Output.Contains(words, StringComparison.OrdinalIgnoreCase))

    let noteReady () =
        if not isKnownReady then
            isKnownReady <- true
            journal.Node(place, "ready")

    let gone () =
        match running with
        | Some node ->
            for line in node.Mistakes do
                journal.Finds $"{Place.name place} says that it has made a mistake: {line}"

            (node :> IDisposable).Dispose()
        | None -> ()

        running <- None
        isPaused <- false

    static member Data(storage: Storage) =
        match storage with
        | Own disk -> Path.Combine(disk.Path, "data")
        | Shared scratch -> scratch.Sub "data"

    member _.Place = place
    member _.Name = Place.name place
    member _.Storage = storage
    member _.DataDirectory = data
    member _.Ballast = Ballast root
    /// The number of its clock among NodeClocks.
    member _.Clock = clock
    member _.Process = running
    member _.Runs = running |> Option.exists (fun node -> not node.HasExited)

    /// Until it is started again it may end by itself if it prints these words.
    member _.MayEnd(saying: string) = excuse <- Some saying

    /// It was seen to serve its tables.
    member _.Serves() = if running.IsSome then noteReady ()

    /// A node that has ended though nothing was done to it that ends nodes is a finding.
    member host.Look() =
        match running with
        | Some node when node.HasExited ->
            let last = node.Output.TrimEnd().Split('\n') |> Array.tryLast |> Option.defaultValue ""
            journal.Node(place, $"ended by itself: {last.Trim()}")

            if not (isExcused node) then
                let why =
                    match excuse with
                    | Some words -> $"did not say \"{words}\""
                    | None -> "nothing had been done to it that ends nodes"

                journal.Finds $"{host.Name} ended by itself, and {why}. It printed last:\n{node.Output}"

            gone ()
        | _ -> ()

    /// Starts it if it does not run, and returns at once.
    member host.Start() =
        host.Look()

        if running.IsNone then
            running <- Some(NodeProcess.Start(start ()))
            excuse <- None
            isKnownReady <- false
            journal.Node(place, "started")

    /// kill -9, whether it runs or not.
    member host.Kill() =
        task {
            host.Look()

            match running with
            | Some node ->
                do! node.Kill()
                journal.Node(place, "killed")
                gone ()
            | None -> ()
        }

    /// SIGTERM; it must have ended in time.
    member host.Terminate() =
        task {
            host.Look()

            match running with
            | Some node ->
                let! code = node.Terminate patience
                journal.Node(place, $"ended with exit code {code} when it was asked to")

                if code <> 0 && not (isExcused node) then
                    journal.Finds $"{host.Name} ended with exit code {code} when it was asked to end. It printed last:\n{node.Output}"

                gone ()
            | None -> ()
        }

    member host.Pause() =
        host.Look()

        match running with
        | Some node when not isPaused ->
            node.Pause()
            isPaused <- true
            journal.Node(place, "stopped")
        | _ -> ()

    member _.Resume() =
        match running with
        | Some node when isPaused ->
            node.Resume()
            isPaused <- false
            journal.Node(place, "goes on")
        | _ -> ()

    /// Waits until it has ended by itself: false if it has not within so long.
    member host.Ends(limit: TimeSpan) : Task<bool> =
        task {
            let until = journal.Clock.Seconds + limit.TotalSeconds

            while host.Runs && journal.Clock.Seconds < until do
                do! Task.Delay(TimeSpan.FromMilliseconds 20.0, TimeProvider.System)

            let ended = not host.Runs
            host.Look()
            return ended
        }

    /// Waits until every table of it takes writes; a start that ends instead is a finding, and so is one that takes for ever.
    member host.Ready() : Task<bool> =
        task {
            host.Start()

            match running with
            | None -> return false
            | Some node ->
                try
                    match! node.Settled(fun _ -> false) with
                    | Ready ->
                        noteReady ()
                        return true
                    | NotReady _
                    | Ended ->
                        let again = isExcused node
                        host.Look()
                        // Whatever was done to it is over: this time there is no excuse.
                        if again then return! host.Ready() else return false
                with e ->
                    journal.Finds $"{host.Name} did not get ready: {e.Message}"
                    return false
        }

    /// An empty disk.
    member _.Wipe() = if Directory.Exists data then Directory.Delete(data, true)

    interface IDisposable with
        member _.Dispose() =
            gone ()

            match storage with
            | Own disk -> (disk :> IDisposable).Dispose()
            | Shared scratch -> (scratch :> IDisposable).Dispose()
