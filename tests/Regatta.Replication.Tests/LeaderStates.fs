namespace Regatta.Replication.Tests

open System
open System.IO
open System.Threading.Tasks
open Regatta.Core
open Regatta.Replication

/// Whole states of the leader site's tables, got onto the disks of a majority of the follower site. More careless than the real source, which refuses what does not fit before
/// it is proposed: the entry that installs a state has to hold on its own. `answer`: what a request for a table's state meets.
[<Sealed>]
type LeaderStates(scene: Scene, answer: string -> Answer) =
    let mutable files = 0UL

    /// The state that is given, and which revision it is at.
    let choose (answering: Answering) (node: FollowerNode) =
        let table = answering.Table
        let isOld = scene.IsStormy && scene.Random.Next 3 = 0
        let revision = if isOld then scene.Random.NextInt64(table.Revision + 1L) else table.Revision
        let refuses = scene.Random.Next 3 = 0

        if answering.IsFork then
            // A state does not say what it comes from: below its changelog a fork cannot be told from the table's own history.
            raise (IOException "the simulation gives no state of a fork")
        elif table.Life <> node.Group.Life && refuses then
            raise (InvalidDataException $"a state of life {table.Life}")
        elif revision = 0L || revision <= node.Revision && refuses then
            raise (IOException $"a state at revision {revision}, no newer than the table's")

        revision

    let fetch (node: FollowerNode) name token =
        task {
            do! scene.Wait(scene.While(scene.Choose [| 50; 600; 3000 |]), token)
            if scene.Happens 10 then raise (IOException "the connection broke")
            if scene.Happens 5 then raise (TimeoutException())
            if scene.Happens 3 then raise (InvalidDataException "damaged")

            match answer name with
            | Nobody
            | NoSuchTable -> return raise (IOException "nobody has it")
            | Answers answering ->
                let table = answering.Table
                let revision = choose answering node
                files <- files + 1UL
                let install = InstallCommand(table.Life, revision, snd (table.At revision), UInt128(uint64 scene.Seed, files))
                scene.Tell(fun () -> $"{node} has a state of {table} at revision {revision}")
                node.Table.Stage(install, table.Kept revision)
                return install, table.Kept revision
        }

    let spread (node: FollowerNode) (install: InstallCommand) state token =
        task {
            do! scene.Wait(scene.While 300, token)
            let others = node.Group.Nodes |> Array.filter (fun other -> other.Id <> node.Id)
            scene.Random.Shuffle others
            let isOnAll = scene.Random.Next 3 = 0

            for other in Array.truncate (if isOnAll then others.Length else others.Length / 2) others do
                other.Table.Stage(install, state)
        }

    interface IStateSource with
        member _.StageAsync(group, name, _, token) =
            task {
                let node = group :?> FollowerNode

                let! install, state =
                    match node.Table.Staged with
                    | Some staged -> Task.FromResult staged
                    | None -> fetch node name token

                do! spread node install state token
                return install
            }
