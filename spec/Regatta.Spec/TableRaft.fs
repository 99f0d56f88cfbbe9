/// One table's Raft group as a transition system: the same as tla/TableRaft.tla, action for action, written again to be counted against it. The comments are there.
module Regatta.Spec.TableRaft

open System.Text

type Entry = { Term: int; By: int }

type Role =
    | Follower
    | Candidate
    | Leader
    | Empty

type Node =
    {
        Term: int
        Vote: int
        Log: Entry list
        Disk: Entry list
        Role: Role
        Votes: Set<int>
        Commit: int
        /// By member, from 0 on.
        Acked: int list
        Sure: int
        Asked: int
    }

/// Nodes are numbered from 1 on, terms too; lists have the first one at 0.
type State =
    { Nodes: Node list
      Led: Entry list list
      Told: int list
      Winners: Set<int> list
      Kept: Entry list
      Wipes: int }

type Bounds = { Members: int; MaxTerm: int; MaxLog: int; MaxWipes: int; First: int }

/// What may be done wrong.
type Fault =
    | Nothing
    | AcknowledgesBeforeTheSync
    | CountsItsOwnLogBeforeTheSync
    | ForgetsItsVote
    | VotesWithoutItsDisk
    | CutsWhereTermsMatch
    | KeepsAStaleTailUnderASnapshot
    | CountsWhatALostDiskAcknowledged
    | ProposesInAnothersTerm
    | CommitsAnEntryOfAnOlderTerm
    | CommitsByTheMedianOfReplies

let private nobody = 0
let private lastTerm (log: Entry list) = if log.IsEmpty then 0 else (List.last log).Term
let private prefix length (log: Entry list) = List.truncate length log
let private isPrefix (a: Entry list) (b: Entry list) = a.Length <= b.Length && prefix a.Length b = a
let private isMajority (some: Set<int>) all = 2 * some.Count > all
let private at index (log: Entry list) = log[index - 1]

/// How far two logs are the same.
let private common (a: Entry list) (b: Entry list) = Seq.zip a b |> Seq.takeWhile (fun (x, y) -> x = y) |> Seq.length
let private agree a b length = common a b >= length
let private durable (node: Node) = common node.Log node.Disk

let initial (bounds: Bounds) =
    let leads id = id = bounds.First

    { Nodes =
        [ for id in 1 .. bounds.Members ->
              { Term = (if bounds.First = 0 then 0 else 1)
                Vote = bounds.First
                Log = []
                Disk = []
                Role = (if leads id then Leader else Follower)
                Votes = Set.empty
                Commit = 0
                Acked = List.replicate bounds.Members 0
                Sure = 0
                Asked = 0 } ]
      Led = List.replicate bounds.MaxTerm []
      Told = List.replicate bounds.MaxTerm 0
      Winners = [ for term in 1 .. bounds.MaxTerm -> if term = 1 then Set.remove 0 (Set.singleton bounds.First) else Set.empty ]
      Kept = []
      Wipes = 0 }

let private put index value list = List.updateAt (index - 1) value list

let next (bounds: Bounds) (fault: Fault) (state: State) : State seq =
    let node id = state.Nodes[id - 1]
    let ids = [ 1 .. bounds.Members ]
    let set id changed = { state with Nodes = put id changed state.Nodes }
    let noAcks = List.replicate bounds.Members 0
    let isEmpty id = (node id).Role = Empty
    let isLeader id = (node id).Role = Leader
    let follow term (n: Node) = { n with Term = term; Role = Follower; Votes = Set.empty; Acked = noAcks }
    let present = List.filter (isEmpty >> not) ids
    let leaders = List.filter isLeader ids

    let stand id =
        let n = node id

        [ if n.Role <> Leader && n.Term < bounds.MaxTerm then
              set
                  id
                  { n with
                      Term = n.Term + 1
                      Vote = id
                      Role = Candidate
                      Votes = Set.singleton id
                      Sure = 0 } ]

    let vote candidate voter =
        let c, v = node candidate, node voter
        let isAsNew = lastTerm c.Log > lastTerm v.Log || (lastTerm c.Log = lastTerm v.Log && c.Log.Length >= v.Log.Length)
        let isFree = v.Term < c.Term || (v.Term = c.Term && (v.Vote = nobody || v.Vote = candidate) && v.Role = Follower)

        [ if candidate <> voter && c.Role = Candidate && isAsNew && isFree && not (c.Votes.Contains voter) then
              let voted = { follow c.Term v with Vote = candidate; Sure = (if v.Term = c.Term then v.Sure else 0) }
              let counted = { c with Votes = c.Votes.Add voter }
              { state with Nodes = state.Nodes |> put voter voted |> put candidate counted } ]

    let hearTerm id other =
        let n, m = node id, node other
        [ if n.Term < m.Term then set id { follow m.Term n with Vote = nobody; Sure = 0 } ]

    let win id =
        let n = node id

        [ if n.Role = Candidate && isMajority n.Votes bounds.Members then
              { set id { n with Role = Leader; Votes = Set.empty } with
                  Winners = put n.Term (state.Winners[n.Term - 1].Add id) state.Winners
                  Led = put n.Term n.Log state.Led } ]

    let propose id =
        let n = node id

        [ if n.Log.Length < bounds.MaxLog then
              let log = n.Log @ [ { Term = n.Term; By = id } ]
              let isAlone = state.Winners[n.Term - 1] = Set.singleton id

              { set id { n with Log = log } with
                  Led = (if isAlone then put n.Term log state.Led else state.Led) } ]

    let lingerOn id other =
        let n, m = node id, node other

        [ if fault = ProposesInAnothersTerm && n.Role = Leader && n.Term < m.Term then
              set id { n with Term = m.Term; Vote = nobody } ]

    let receive id term =
        let n, theirs = node id, state.Led[term - 1]

        [ if term >= n.Term && not (state.Winners[term - 1].Contains id) then
              for from in 0 .. min theirs.Length n.Log.Length do
                  if from = 0 || (at from n.Log).Term = (at from theirs).Term then
                      for upTo in from .. theirs.Length do
                          let differs =
                              List.exists (fun i -> i <= n.Log.Length && (at i n.Log).Term <> (at i theirs).Term) [ from + 1 .. upTo ]

                          let last = if differs || fault = CutsWhereTermsMatch then upTo else max upTo n.Log.Length
                          let log = [ for i in 1..last -> if i > from && i <= upTo then at i theirs else at i n.Log ]
                          let isOfTerm = n.Term = term

                          set
                              id
                              { follow term n with
                                  Vote = (if isOfTerm then n.Vote else nobody)
                                  Log = log
                                  Sure = (if isOfTerm then max n.Sure upTo else upTo)
                                  Commit = max n.Commit (min state.Told[term - 1] upTo) } ]

    let sync id =
        let n = node id
        [ if n.Disk <> n.Log then set id { n with Disk = n.Log } ]

    let acknowledge id leader =
        let n, l = node id, node leader
        let upTo = if fault = AcknowledgesBeforeTheSync then n.Sure else min n.Sure (durable n)

        [ if id <> leader && n.Role = Follower && n.Term = l.Term && upTo > l.Acked[id - 1] then
              set leader { l with Acked = put id upTo l.Acked } ]

    let commit leader index =
        let l = node leader

        let holds id =
            if id <> leader then l.Acked[id - 1]
            elif fault = CountsItsOwnLogBeforeTheSync then l.Log.Length
            else durable l

        let holders = ids |> List.filter (fun id -> holds id >= index)

        // Of some majority of replies, the leader's own among them.
        let isMedian count = 2 * min (if List.contains leader holders then count else count - 1) holders.Length > count

        let isHeld =
            if fault = CommitsByTheMedianOfReplies then
                ids |> List.exists (fun count -> 2 * count > bounds.Members && isMedian count)
            else
                isMajority (Set.ofList holders) bounds.Members

        let isOfThisTerm = (at index l.Log).Term = l.Term || fault = CommitsAnEntryOfAnOlderTerm

        [ if isOfThisTerm && isHeld then
              { set leader { l with Commit = index } with
                  Told = put l.Term (max state.Told[l.Term - 1] index) state.Told
                  Kept = (if index > state.Kept.Length then prefix index l.Log else state.Kept) } ]

    let install id leader =
        let n, l = node id, node leader
        let index = l.Commit

        [ if id <> leader && n.Role <> Empty && l.Term >= n.Term && index > n.Commit then
              let continues = index <= n.Log.Length && (at index n.Log).Term = (at index l.Log).Term
              let stays = (continues || fault = KeepsAStaleTailUnderASnapshot) && index <= n.Log.Length
              let log = prefix index l.Log @ (if stays then List.skip index n.Log else [])
              let isOfTerm = n.Term = l.Term

              set
                  id
                  { follow l.Term n with
                      Vote = (if isOfTerm then n.Vote else nobody)
                      Log = log
                      Disk = log
                      Sure = (if isOfTerm then max n.Sure index else index)
                      Commit = index } ]

    let crash id =
        let n = node id

        set
            id
            { follow n.Term n with
                Log = n.Disk
                Vote = (if fault = ForgetsItsVote then nobody else n.Vote)
                Commit = 0
                Sure = 0 }

    let wipe id =
        [ if state.Wipes < bounds.MaxWipes then
              let lost =
                  { Term = 0
                    Vote = nobody
                    Log = []
                    Disk = []
                    Role = (if fault = VotesWithoutItsDisk then Follower else Empty)
                    Votes = Set.empty
                    Commit = 0
                    Acked = noAcks
                    Sure = 0
                    Asked = 0 }

              { set id lost with Wipes = state.Wipes + 1 } ]

    let askTerms id =
        let n = node id
        let known = List.except [ id ] present

        [ if n.Asked = 0 && isMajority (Set.ofList known) (bounds.Members - 1) then
              set id { n with Asked = 1 + (known |> List.map (fun other -> (node other).Term) |> List.max) } ]

    let comeBack id leader =
        let n, l = node id, node leader
        let followers = present |> List.filter (fun other -> other <> id && (node other).Term = l.Term) |> Set.ofList

        [ if
              n.Asked > 0
              && l.Term + 1 >= n.Asked
              && isMajority followers bounds.Members
              && l.Commit > 0
              && (at l.Commit l.Log).Term = l.Term
          then
              let taken = prefix l.Commit l.Log

              let back =
                  { n with
                      Term = l.Term
                      Vote = leader
                      Log = taken
                      Disk = taken
                      Role = Follower
                      Commit = l.Commit
                      Sure = l.Commit
                      Asked = 0 }

              let kept = if fault = CountsWhatALostDiskAcknowledged then l else { l with Acked = put id 0 l.Acked }

              { state with Nodes = state.Nodes |> put id back |> put leader kept } ]

    seq {
        for id in present do
            yield! stand id
            yield! win id
            yield! sync id
            crash id

        for id in ids do
            yield! wipe id

        for id in present do
            for other in ids do
                yield! vote other id
                yield! hearTerm id other
                yield! lingerOn id other

            for term in 1 .. bounds.MaxTerm do
                if not state.Winners[term - 1].IsEmpty then yield! receive id term

        for leader in leaders do
            yield! propose leader

            for id in ids do
                yield! acknowledge id leader
                yield! install id leader
                if isEmpty id then yield! comeBack id leader

            for index in (node leader).Commit + 1 .. (node leader).Log.Length do
                yield! commit leader index

        for id in List.filter isEmpty ids do
            yield! askTerms id
    }

/// The invariants, by their names there.
let rules: (string * (State -> bool)) list =
    let electionSafety state = state.Winners |> List.forall (fun winners -> winners.Count <= 1)

    let logMatching state =
        let logs = [ yield! state.Nodes |> List.map _.Log; yield! state.Led ] |> List.distinct

        let matches (a: Entry list) (b: Entry list) =
            let same = Seq.zip a b |> Seq.tryFindIndexBack (fun (x, y) -> x.Term = y.Term)
            same |> Option.forall (fun last -> agree a b (last + 1))

        List.allPairs logs logs |> List.forall (fun (a, b) -> matches a b)

    let leaderCompleteness state =
        let latest = state.Winners |> List.tryFindIndexBack (fun winners -> not winners.IsEmpty) |> Option.map ((+) 1)

        state.Nodes |> List.forall (fun n -> n.Role <> Leader || Some n.Term < latest || isPrefix state.Kept n.Log)

    let stateMachineSafety state =
        state.Nodes
        |> List.forall (fun n -> n.Commit <= n.Log.Length && n.Commit <= state.Kept.Length && agree n.Log state.Kept n.Commit)

    [ "ElectionSafety", electionSafety
      "LogMatching", logMatching
      "LeaderCompleteness", leaderCompleteness
      "StateMachineSafety", stateMachineSafety ]

/// Two states are one if they have one text.
let key (state: State) =
    let text = StringBuilder()
    let number (value: int) = text.Append(char (value + 1)) |> ignore

    let log (entries: Entry list) =
        number entries.Length

        for entry in entries do
            number entry.Term
            number entry.By

    let several (members: Set<int>) =
        number members.Count
        Set.iter number members

    for n in state.Nodes do
        number n.Term
        number n.Vote
        log n.Log
        log n.Disk

        number (
            match n.Role with
            | Follower -> 0
            | Candidate -> 1
            | Leader -> 2
            | Empty -> 3
        )

        several n.Votes
        number n.Commit
        List.iter number n.Acked
        number n.Sure
        number n.Asked

    List.iter log state.Led
    List.iter number state.Told
    List.iter several state.Winners
    log state.Kept
    number state.Wipes
    text.ToString()
