/// Disks that fail, are slow, are full, or have forgotten something.
module Regatta.Chaos.Disks

open System
open System.IO
open System.Threading.Tasks
open Regatta.Testing.Nodes

let private megabyte = 1024L * 1024L

let private fault name what obstacle inflict = { Name = name; What = what; Lane = Nodes; Obstacle = obstacle; Inflict = inflict }

let private nothing (host: Host) why = { Target = host.Name; Lasts = TimeSpan.Zero; Heal = Nemesis.over (NotInflicted why) }

let private withSyncs (fault: SyncFault) (stage: Stage) (over: Host -> FaultySyncs -> Affliction) =
    task {
        let host = Nemesis.anyHost stage
        host.Start()

        match host.Process with
        | None -> return nothing host "it did not run"
        | Some node ->
            let log = stage.Fleet.Scratch $"strace-{stage.Journal.Clock.Now}"

            try
                let syncs = FaultySyncs.Attach(fault, node.Id, log)
                do! syncs.Attached
                return over host syncs
            with _ when node.HasExited ->
                return nothing host "it did not run"
    }

/// What a failed sync left in the kernel's memory must not come to the disk later, as if it had not failed.
let private loseWhatFailed (host: Host) =
    match host.Storage with
    | Own disk ->
        disk.CutPower()
        disk.Restore()
    | Shared _ -> ()

let private failing (stage: Stage) =
    withSyncs FailsWithEio stage (fun host syncs ->
        host.MayEnd "Input/output error"

        { Target = host.Name
          Lasts = Nemesis.between stage.Draw 1.0 3.0
          Heal =
            fun () ->
                task {
                    // Apart from the others a node has nothing to sync, and a failed copy of a state is only tried again: the log is what counts.
                    let! endedSoon = host.Ends(TimeSpan.FromSeconds 5.0)
                    let faults = syncs.FaultsOf($"{host.DataDirectory}/log/").Length
                    let! ended = if endedSoon || faults = 0 then Task.FromResult endedSoon else host.Ends(TimeSpan.FromSeconds 10.0)
                    do! host.Kill()
                    do! syncs.Ended
                    (syncs :> IDisposable).Dispose()
                    loseWhatFailed host
                    host.Start()

                    if not ended && faults > 0 then stage.Journal.Finds $"{host.Name} went on after {faults} syncs of its log had failed"

                    return if ended then Inflicted "it ended by itself, as it must" else NotInflicted "its log had nothing to sync"
                } })

let private slow (stage: Stage) =
    withSyncs (TakesLonger(20 + stage.Draw.Next 300)) stage (fun host syncs ->
        { Target = host.Name
          Lasts = Nemesis.between stage.Draw 2.0 6.0
          Heal =
            fun () ->
                task {
                    do! syncs.Detach()
                    (syncs :> IDisposable).Dispose()
                    return Inflicted ""
                } })

let private fill (left: int64) (stage: Stage) =
    task {
        let host = Nemesis.anyHost stage
        // In the system's words, or in ours when RocksDB does not say why.
        host.MayEnd "no space left"
        host.Ballast.FillUpTo left

        return
            { Target = host.Name
              Lasts = Nemesis.between stage.Draw 2.0 5.0
              Heal =
                fun () ->
                    task {
                        host.Ballast.MakeRoom()
                        let ended = not host.Runs
                        host.Start()
                        return Inflicted(if ended then "it ended by itself, and has room again" else "it has room again")
                    } }
    }

/// The write-ahead log of the node's Raft log, which is read whole at every start.
let private newestLog (host: Host) =
    let directory = Path.Combine(host.DataDirectory, "log")

    if Directory.Exists directory then
        Directory.EnumerateFiles(directory, "*.log", SearchOption.AllDirectories)
        |> Seq.map FileInfo
        |> Seq.filter (fun file -> file.Length > 20_000L)
        |> Seq.sortByDescending _.Length
        |> Seq.tryHead
    else
        None

let private flip (draw: Random) (file: FileInfo) =
    use stream = file.Open(FileMode.Open, FileAccess.ReadWrite)
    let at = draw.NextInt64(file.Length / 2L)
    stream.Position <- at
    let old = stream.ReadByte()
    stream.Position <- at
    stream.WriteByte(byte old ^^^ byte (1 <<< draw.Next 8))

/// Less than half is left: whatever was written last and not synced, this takes more.
let private cutShort (draw: Random) (file: FileInfo) =
    use stream = file.Open(FileMode.Open, FileAccess.ReadWrite)
    stream.SetLength(draw.NextInt64(file.Length / 2L))

let private damage (change: Random -> FileInfo -> unit) (stage: Stage) =
    task {
        let site = Nemesis.anySite stage
        let! _ = stage.Fleet.Site site |> List.map _.Ready() |> Task.WhenAll
        let host = Nemesis.one stage.Draw (stage.Fleet.Site site)
        do! host.Kill()

        match newestLog host with
        | None ->
            host.Start()
            return nothing host "its log was too short to be damaged"
        | Some file ->
            change stage.Draw file
            let name = Path.GetRelativePath(host.DataDirectory, file.FullName)
            host.Start()
            // It names the log, and where it can the file.
            host.MayEnd $"The Raft log in '{Path.GetDirectoryName file.FullName}' is damaged"
            let! ended = host.Ends(TimeSpan.FromSeconds 60.0)

            if not ended then stage.Journal.Finds $"{host.Name} started with a damaged {name}"

            do! host.Kill()
            host.Wipe()
            host.Start()
            let! _ = host.Ready()

            return
                { Target = $"{name} of {host.Name}"
                  Lasts = TimeSpan.Zero
                  Heal = Nemesis.over (Inflicted(if ended then "it was refused" else "it was not refused")) }
    }

let all =
    [ fault "sync-error" "every sync of a node fails with EIO; it must stop, and acknowledge nothing more" Nemesis.needsStrace failing
      fault "sync-slow" "every sync of a node takes up to a third of a second longer" Nemesis.needsStrace slow
      fault "disk-nearly-full" "a node has less room than its low-water mark" Nemesis.needsOwnDisks (fill (32L * megabyte))
      fault "disk-full" "a node has no room at all: it refuses writes, or stops and says why" Nemesis.needsOwnDisks (fill 0L)
      fault
          "damaged-log"
          "a bit of a node's log is flipped while it is down; it must refuse to start, and say why"
          Nemesis.needsThree
          (damage flip)
      fault "truncated-log" "the end of a node's log is gone; it must refuse to start, and say why" Nemesis.needsThree (damage cutShort) ]
