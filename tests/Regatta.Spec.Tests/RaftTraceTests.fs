/// The checker of traces: whatever TableRaft may do it accepts; the ways to disaster of each broken variant, and traces that were tampered with, it refuses, each for its own reason.
module Regatta.Spec.Tests.RaftTraceTests

open System
open Expecto
open Regatta.Spec
open Regatta.Spec.RaftTrace
open Regatta.Spec.RaftTraceCheck
open Regatta.Spec.Tests.ToldTraces
open Regatta.Testing

/// How far the nodes have come.
let private progress (state: TableRaft.State) =
    let ofNode (node: TableRaft.Node) =
        let standing =
            match node.Role with
            | TableRaft.Leader -> 5
            | TableRaft.Empty -> -20
            | TableRaft.Candidate
            | TableRaft.Follower -> 0

        node.Log.Length
        + node.Disk.Length
        + node.Commit
        + List.sum node.Acked
        + node.Votes.Count
        + node.Sure
        + min node.Asked 1
        + standing

    List.sumBy ofNode state.Nodes

/// Elections, crashes and lost disks are as possible as anything else, and would leave no time for entries.
let private weight (before: TableRaft.State) (after: TableRaft.State) =
    if progress after > progress before then 1_000
    elif after.Wipes > before.Wipes then 2
    else 12

let private walk (bounds: TableRaft.Bounds) (random: Random) length =
    let rec pick (choices: (TableRaft.State * int) list) left =
        match choices with
        | [ (state, _) ] -> state
        | (state, weight) :: rest -> if left < weight then state else pick rest (left - weight)
        | [] -> failwith "there is nowhere to go"

    let rec go (state: TableRaft.State) left path =
        let choices =
            TableRaft.next bounds TableRaft.Nothing state
            |> Seq.filter (fun after -> after <> state && isOfTheCode (state, after))
            |> Seq.map (fun after -> after, weight state after)
            |> List.ofSeq

        if left = 0 || choices.IsEmpty then
            List.rev path
        else
            let chosen = pick choices (random.Next(List.sumBy snd choices))
            go chosen (left - 1) (chosen :: path)

    let first = TableRaft.initial bounds
    go first length [ first ]

let private bounds members first : TableRaft.Bounds = { Members = members; MaxTerm = 12; MaxLog = 12; MaxWipes = 1; First = first }

let private walks =
    testList
        "ways of the specification"
        [ for members, first, leader in [ 1, 0, "nobody"; 3, 0, "nobody"; 3, 1, "the first"; 5, 1, "the first" ] do
              testCase $"{members} nodes, {leader} leads: accepted" (fun () ->
                  let count = Scale.pick 60 3_000

                  let figures =
                      [ for seed in 1..count do
                            match check (tellOf (walk (bounds members first) (Random(Seed.current + seed)) 150)) with
                            | Ok figures -> figures
                            | Error mismatch -> failtestf "seed %d: %A" (Seed.current + seed) mismatch ]

                  let sum choose = List.sumBy choose figures

                  printfn
                      $"{count} walks of {members} nodes: {sum _.Events} events, {sum _.Elections} elections, {sum _.Committed} entries committed, {sum _.Crashes} crashes, {sum _.Wipes} lost disks"

                  Expect.isGreaterThan (sum _.Committed) (4 * count) "entries are committed"
                  Expect.isGreaterThan (sum _.Crashes) (count / 2) "nodes crash"
                  Expect.isGreaterThan (sum _.Wipes) (count / 6) "disks are lost") ]

/// The models in which TableRaft is broken, and why the trace of what happens there is none of its.
let private disasters =
    [ "acknowledges-before-the-sync", AcknowledgesWhatItDoesNotHave
      "counts-its-own-log-before-the-sync", CommitsWithoutAMajority
      "forgets-its-vote", VotesTwice
      "votes-without-its-disk", TakesPartWithoutItsDisk
      "cuts-where-terms-match", DropsWhatIsTheSame
      "keeps-a-stale-tail-under-a-snapshot", KeepsAnothersTail
      "counts-what-a-lost-disk-acknowledged", CommitsWithoutAMajority
      "proposes-in-anothers-term", WritesWhatNobodyProposed ]

let private refusals =
    testList
        "ways to disaster"
        [ for name, reason in disasters do
              testCase $"{name}: refused" (fun () ->
                  let models = Models.read "TableRaft" |> List.filter (fun model -> model.Name = name)
                  Expect.isNonEmpty models "the models"

                  for model in models do
                      match (TableRaftTests.explore model (Some TableRaftTests.faults[name]) ((=) (model.Outcome.Substring 1))).Broken with
                      | Some(_, path) ->
                          match check (tellOf path) with
                          | Error mismatch -> Expect.equal mismatch.Reason reason $"%A{mismatch.Event.Act}"
                          | Ok figures -> failtestf "accepted: %A" figures
                      | None -> failtest "the model is refuted by nothing") ]

/// A short life of three nodes: two writes, the third node hears of them late, the leader crashes, another one leads.
let private life =
    [ 1, "began 3 0"
      1, "opened 7 0 0 0 0 0 0 0"
      2, "began 3 0"
      2, "opened 7 0 0 0 0 0 0 0"
      3, "began 3 0"
      3, "opened 7 0 0 0 0 0 0 0"
      1, "wrote 7 hard 1 1 0 0"
      1, "taken 1"
      1, "synced 1"
      2, "wrote 7 hard 1 1 0 0"
      2, "taken 1"
      2, "synced 1"
      1, "won 7 1"
      1, "wrote 7 put 1 1 11"
      1, "taken 2"
      1, "synced 2"
      2, "wrote 7 put 1 1 11"
      2, "taken 2"
      2, "synced 2"
      2, "matched 7 1 1"
      1, "counted 7 1 2 1"
      1, "committed 7 1"
      1, "applied 7 1 4 a4"
      2, "committed 7 1"
      2, "applied 7 1 4 a4"
      1, "wrote 7 put 2 1 12"
      2, "wrote 7 put 2 1 12"
      2, "taken 3"
      2, "synced 3"
      2, "matched 7 1 2"
      1, "counted 7 1 2 2"
      1, "taken 3"
      1, "synced 3"
      1, "committed 7 2"
      1, "applied 7 2 5 a5"
      3, "wrote 7 hard 1 0 0 0"
      3, "wrote 7 put 1 1 11 put 2 1 12"
      3, "taken 1"
      3, "synced 1"
      3, "matched 7 1 2"
      1, "began 3 3"
      1, "opened 7 1 1 0 0 2 1 1"
      2, "wrote 7 hard 2 2 0 0"
      2, "taken 4"
      2, "synced 4"
      3, "wrote 7 hard 2 2 0 0"
      3, "taken 2"
      3, "synced 2"
      2, "won 7 2"
      2, "wrote 7 put 3 2 13"
      2, "taken 5"
      2, "synced 5"
      3, "wrote 7 put 3 2 13"
      3, "taken 3"
      3, "synced 3"
      3, "matched 7 2 3"
      2, "counted 7 2 3 3"
      2, "committed 7 3"
      2, "applied 7 3 6 a6"
      2, "wrote 7 delete 1 2 hard 2 2 2 1" ]

let private numbered lines =
    let number (life: Map<int, int>) (node, (text: string)) =
        let next = if text.StartsWith "began" then 1 else (Map.tryFind node life |> Option.defaultValue 0) + 1
        (node, next, text), Map.add node next life

    List.mapFold number Map.empty lines |> fst

let private judge numbered =
    numbered
    |> List.mapi (fun at (node, number, text) -> Line.parse $"{at} {node} {number} {text}")
    |> List.groupBy _.Node
    |> List.map (snd >> Seq.ofList)
    |> merge
    |> check

let private reasonOf result =
    match result with
    | Ok figures -> failtestf "accepted: %A" figures
    | Error mismatch -> mismatch.Reason

let private at node text = List.findIndex ((=) (node, text)) life
let private without node text = List.removeAt (at node text) life
let private instead node text other = List.updateAt (at node text) (node, other) life

/// Moved to just before another line.
let private before line target =
    let rest = List.removeAt (List.findIndex ((=) line) life) life
    List.insertAt (List.findIndex ((=) target) rest) line rest

let private added target line = List.insertAt (List.findIndex ((=) target) life) line life

/// The first node leads on, the third one has voted for the second one on a disk that it loses, and comes back in the first one's term: as if it had asked before the second one stood.
let private votesAgain =
    List.takeWhile ((<>) (1, "began 3 3")) life
    @ [ 2, "wrote 7 hard 2 2 0 0"
        2, "taken 4"
        3, "wrote 7 hard 2 2 0 0"
        3, "taken 2"
        3, "synced 2"
        3, "began 3 0"
        3, "wrote 7 hard 1 1 0 0"
        3, "taken 1"
        3, "synced 1"
        3, "wrote 7 delete 1 2 hard 1 1 2 1"
        3, "taken 2"
        3, "synced 2"
        3, "opened 7 1 1 2 1 2 1 2" ]

/// Behind that: the first node's third entry is committed.
let private third =
    [ 1, "wrote 7 put 3 1 14"
      1, "taken 4"
      1, "synced 4"
      3, "wrote 7 put 3 1 14"
      3, "taken 3"
      3, "synced 3"
      3, "matched 7 1 3"
      1, "counted 7 1 3 3"
      1, "committed 7 3" ]

let private tampered =
    [ "a write is left out", without 1 "wrote 7 put 1 1 11", WritesWhatNobodyProposed
      "a follower's write is left out", without 2 "wrote 7 put 2 1 12", AcknowledgesWhatItDoesNotHave
      "the writing of a vote is left out", without 2 "wrote 7 hard 1 1 0 0", WinsWithoutVotes
      "a sync is left out", without 2 "synced 2", AcknowledgesWhatItDoesNotHave
      "the leader's last sync is left out", without 1 "synced 3", CommitsWithoutAMajority
      "an election is left out", without 2 "won 7 2", WritesWhatNobodyProposed
      "an acknowledgement is left out", without 2 "matched 7 1 1", CountsWhatNobodySaid
      "what the leader counts is left out", without 1 "counted 7 1 2 1", CommitsWithoutAMajority
      "a commit is left out", without 1 "committed 7 2", AppliesWhatIsNotCommitted
      "an index of an entry is another one", instead 2 "wrote 7 put 2 1 12" "wrote 7 put 3 1 12", LeavesAGap
      "an entry is another one", instead 2 "wrote 7 put 2 1 12" "wrote 7 put 2 1 13", WritesWhatNobodyProposed
      "an entry's term is another one", instead 3 "wrote 7 put 3 2 13" "wrote 7 put 3 1 13", WritesWhatNobodyProposed
      "an index that is acknowledged is another one", instead 2 "matched 7 1 1" "matched 7 1 2", AcknowledgesWhatItDoesNotHave
      "an index that is counted is another one", instead 1 "counted 7 1 2 1" "counted 7 1 2 2", CountsWhatNobodySaid
      "an index that is committed is another one", instead 1 "committed 7 1" "committed 7 2", CommitsWithoutAMajority
      "an index that is applied is another one", instead 2 "applied 7 1 4 a4" "applied 7 2 4 a4", AppliesWhatIsNotCommitted
      "a revision is another one", instead 2 "applied 7 1 4 a4" "applied 7 1 5 a4", AppliesToAnotherState
      "a state is another one", instead 2 "applied 7 1 4 a4" "applied 7 1 4 b4", AppliesToAnotherState
      "a follower commits more than its leader", instead 2 "committed 7 1" "committed 7 2", CommitsWithoutAMajority
      "acknowledged before the sync", before (2, "matched 7 1 1") (2, "synced 2"), AcknowledgesWhatItDoesNotHave
      "committed before the leader's sync", before (1, "committed 7 2") (1, "synced 3"), CommitsWithoutAMajority
      "counted before it was said", before (1, "counted 7 1 2 1") (2, "matched 7 1 1"), CountsWhatNobodySaid
      "applied before it was committed", before (1, "applied 7 1 4 a4") (1, "committed 7 1"), AppliesWhatIsNotCommitted
      "won before the vote was on disk", before (1, "won 7 1") (2, "synced 1"), WinsWithoutVotes
      "applied twice", added (2, "committed 7 1") (1, "applied 7 1 4 a4"), AppliesWhatIsNotCommitted
      "a second leader of a term", added (2, "won 7 2") (2, "won 7 1"), WinsATermOfAnother
      "a second vote in a term", added (3, "wrote 7 hard 2 2 0 0") (1, "wrote 7 hard 1 3 0 0"), VotesTwice
      "a vote for who does not stand", instead 3 "wrote 7 hard 2 2 0 0" "wrote 7 hard 2 1 0 0", VotesForWhoDoesNotStand
      "a vote for who has less", (life @ [ 3, "committed 7 3"; 1, "wrote 7 hard 3 1 0 0"; 3, "wrote 7 hard 3 1 0 0" ]), VotesForAnOlderLog
      "an old leader commits by who has voted for another one",
      (life
       @ [ 2, "wrote 7 put 4 2 14"
           2, "taken 6"
           2, "synced 6"
           3, "wrote 7 hard 3 3 0 0"
           3, "taken 4"
           3, "synced 4"
           1, "wrote 7 hard 3 3 0 0"
           1, "taken 4"
           1, "synced 4"
           3, "matched 7 2 4"
           2, "counted 7 2 3 4"
           2, "committed 7 4"
           3, "won 7 3" ]),
      AcknowledgesWhatItDoesNotHave
      "an entry of a former leader comes late",
      (added (1, "applied 7 2 5 a5") (1, "wrote 7 put 3 1 14") @ [ 3, "wrote 7 delete 3 3 put 3 1 14" ]),
      WritesWhatNobodyProposed
      "acknowledged in a term that is not on disk",
      (life @ [ 1, "wrote 7 hard 2 0 0 0"; 1, "matched 7 2 2" ]),
      AcknowledgesWhatItDoesNotHave
      "a round is left out", instead 3 "taken 3" "taken 4", LostWhatWasSynced
      "a term goes back", instead 3 "wrote 7 hard 2 2 0 0" "wrote 7 hard 0 0 0 0", TermGoesBack
      "a leader writes on after its crash", (life @ [ 1, "wrote 7 put 3 1 14" ]), WritesWhatNobodyProposed
      "what is committed is deleted", (life @ [ 2, "wrote 7 delete 3 3 put 3 1 14" ]), DropsWhatIsCommitted
      "what is acknowledged is deleted for nothing", (life @ [ 3, "wrote 7 delete 3 3" ]), DropsWhatIsTheSame
      "what is acknowledged is written again", (life @ [ 3, "wrote 7 delete 3 3 put 3 2 13" ]), DropsWhatIsTheSame
      "a snapshot leaves what it covers", (life @ [ 3, "wrote 7 delete 1 1 hard 2 2 2 1" ]), KeepsAnothersTail
      "a snapshot of what is not committed", (life @ [ 1, "wrote 7 delete 1 9 hard 2 0 9 2" ]), InstallsWhatIsNotCommitted
      "a synced round is gone after a crash", instead 1 "began 3 3" "began 3 2", LostWhatWasSynced
      "less is found after a crash", instead 1 "opened 7 1 1 0 0 2 1 1" "opened 7 1 1 0 0 1 1 1", FindsSomethingElse
      "a lost disk's node takes part", (life @ [ 3, "began 3 0"; 3, "opened 7 0 0 0 0 0 0 0" ]), TakesPartWithoutItsDisk
      "a lost disk's node has too little",
      (life @ [ 3, "began 3 0"; 3, "wrote 7 hard 2 2 0 0"; 3, "wrote 7 delete 1 2 hard 2 2 2 1" ]),
      ComesBackWithTooLittle
      "a lost disk's node comes back in a term that the others have left",
      (life @ [ 3, "began 3 0"; 3, "wrote 7 hard 1 1 0 0"; 3, "wrote 7 delete 1 3 hard 1 1 3 2" ]),
      ComesBackInAnOlderTerm
      "a lost disk's vote is given again",
      votesAgain @ [ 1, "wrote 7 hard 2 1 0 0"; 3, "wrote 7 hard 2 1 2 1"; 3, "taken 3"; 3, "synced 3" ],
      VotesTwice
      "a leader commits behind a later one's back", votesAgain @ [ 2, "synced 4"; 2, "won 7 2" ] @ third, CommitsWithoutAMajority
      "a later leader has less than is committed", votesAgain @ third @ [ 2, "synced 4"; 2, "won 7 2" ], WinsWithoutWhatIsCommitted
      "the first life is not there", List.skip 1 life, BeginsInTheMiddle ]

let private isUsed =
    testCase "every reason is given" (fun () ->
        let all = Reflection.FSharpType.GetUnionCases typeof<Reason> |> Array.map _.Name |> Set.ofArray
        let given = tampered |> List.map (fun (_, _, reason) -> string reason) |> Set.ofList
        // Lines are numbered here, so that none of these misses one.
        Expect.equal (Set.difference all given) (Set [ string MissesALine ]) "those that no trace here is refused for")

let private sites =
    let shows states = [ for number, state in List.indexed states -> Line.parse $"{number} 1 {number + 1} applied 7 {number + 1} {state}" ]

    let leader = shows [ "1 a1"; "4 a4 2 a2 3 a3"; "5 a5" ]

    testList
        "follower sites"
        [ testCase "show what their leader site has had, in other steps: accepted" (fun () ->
              Expect.equal (FollowerTraceCheck.check leader (shows [ "0 a0"; "2 a2"; "5 a5" ])) (Ok 3) "three states")
          testCase "show an older one after a restart, which applies the log again: accepted" (fun () ->
              let lives = shows [ "5 a5" ] @ [ Line.parse "2 1 1 began 3 4" ] @ shows [ "4 a4"; "5 a5" ]
              Expect.equal (FollowerTraceCheck.check leader lives) (Ok 3) "three states")
          for name, states, reason in
              [ "a revision that it has not", [ "1 a1"; "6 a6" ], FollowerTraceCheck.ShowsWhatItsLeaderSiteHasNot
                "another history", [ "1 a1"; "3 b3" ], FollowerTraceCheck.ShowsWhatItsLeaderSiteHasNot
                "a revision with another's hash", [ "1 a1"; "2 a3" ], FollowerTraceCheck.ShowsWhatItsLeaderSiteHasNot
                "an older state than before", [ "4 a4"; "2 a2" ], FollowerTraceCheck.GoesBack ] do
              testCase $"show {name}: refused" (fun () ->
                  Expect.equal (FollowerTraceCheck.check leader (shows states) |> Result.mapError snd) (Error reason) "the reason") ]

let private doctored =
    testList
        "tampered with"
        [ testCase "as it was: accepted" (fun () ->
              match judge (numbered life) with
              | Ok figures ->
                  Expect.equal
                      (figures.Elections, figures.Proposed, figures.Committed, figures.Crashes, figures.Wipes)
                      (2, 3, 3, 1, 0)
                      "what is counted"
              | Error mismatch -> failtestf "%A" mismatch)
          testCase "any line is left out but a node's last" (fun () ->
              for at in 0 .. life.Length - 1 do
                  let node, text = life[at]
                  let goesOn = life |> List.skip (at + 1) |> List.tryFind (fst >> (=) node)

                  match goesOn with
                  | Some(_, next) when not (next.StartsWith "began") && not (text.StartsWith "began") ->
                      Expect.isError (judge (List.removeAt at (numbered life))) text
                  | _ -> ())
          testCase "a line that is none" (fun () ->
              for text in [ "1 1 1 waited 7"; "1 1 1 won 7"; "1 1 1 wrote 7 put 1 1"; "1 1"; "1 1 1 won seven 1"; "1 1 1 applied 7 1 4" ] do
                  Expect.throws (fun () -> Line.parse text |> ignore) text)
          for name, lines, reason in tampered do
              testCase name (fun () -> Expect.equal (reasonOf (judge (numbered lines))) reason "the reason")
          isUsed ]

let tests = testList "traces of groups" [ walks; refusals; doctored; sites ]
