namespace Regatta.Testing.Tables

open FsCheck
open FsCheck.FSharp
open Regatta.Spec

type Disturbance =
    | Flush
    | Reopen
    | Crash
    | Checkpoint
    | Restore

type Step =
    /// One call of Apply: its entries, each with its commands. Entries without commands are those of a new leader.
    | Apply of Command list list
    /// A read, with the bytes of a page.
    | Read of Query * pageBytes: int
    | Disturb of Disturbance

/// What happens to one table. `PageBytes` bounds the answers to its transactions.
type Script = { PageBytes: int; Steps: Step list }

module Script =
    let pageSizes = [ 1; 64; 200; 600; 6_000; Regatta.Core.PageSize.Default ]
    let private pageBytes = Gen.elements pageSizes

    let commands script =
        script.Steps
        |> List.sumBy (fun step ->
            match step with
            | Apply entries -> List.sumBy List.length entries
            | Read _
            | Disturb _ -> 0)

    let private apply state command = Table.apply state command |> fst

    let advance state step =
        match step with
        | Apply entries -> List.fold (List.fold apply) state entries
        | Read _
        | Disturb _ -> state

    /// Cuts a list into entries at random places, which makes empty entries too.
    let private grouped commands =
        let add entries (command, ends) =
            match entries with
            | last :: earlier when ends -> [] :: List.rev (command :: List.rev last) :: earlier
            | last :: earlier -> (last @ [ command ]) :: earlier
            | [] -> [ [ command ] ]

        Gen.listOfLength (List.length commands) (Gen.frequency [ 2, Gen.constant true; 3, Gen.constant false ])
        |> Gen.map (fun ends -> List.zip commands ends |> List.fold add [ [] ] |> List.rev)

    let private applyStep state =
        Gen.frequency [ 1, Gen.constant 0; 6, Gen.choose (1, 4); 3, Gen.choose (5, 16) ]
        |> Gen.bind (Generate.unfold Generate.command apply state)
        |> Gen.bind grouped
        |> Gen.map Apply

    let private disturbance = Gen.elements [ Flush; Reopen; Crash; Checkpoint; Restore ] |> Gen.map Disturb

    let private step state =
        Gen.frequency
            [ 10, applyStep state
              6, Gen.map2 (fun query bytes -> Read(query, bytes)) (Generate.query state) pageBytes
              1, disturbance ]

    /// Each step is drawn in view of the state that those before it lead to.
    let generate length =
        gen {
            let! bytes = pageBytes
            let! steps = Generate.unfold step advance (Table.create Generate.incarnation) length
            return { PageBytes = bytes; Steps = steps }
        }

    let private shrinkStep step =
        match step with
        | Apply entries -> Shrink.list (Shrink.list Shrink.command) entries |> Seq.map Apply
        | Read(query, bytes) -> Shrink.query query |> Seq.map (fun smaller -> Read(smaller, bytes))
        | Disturb _ -> Seq.empty

    let shrink script = Shrink.list shrinkStep script.Steps |> Seq.map (fun steps -> { script with Steps = steps })
