/// What running nodes have written down of what their groups did (src/Regatta.Raft/Tracing), held against TableRaft: each event must be one of its actions, taken in a state in which it may be taken. Logs are not lists
/// here: as long as all goes by the rules, one is known by its last entry, and what a term's leader proposed follows what its log was when it won.
module Regatta.Spec.RaftTrace

open System
open System.Collections.Generic

/// What is put into a node's log database, in one order with all else that is.
type Step =
    | Put of index: int64 * term: int64 * sum: uint64
    | Delete of first: int64 * last: int64
    /// Vote 0: none. Entries up to the cut are not in the log any more.
    | Hard of term: int64 * vote: int64 * cut: int64 * cutTerm: int64

/// A log by its last entry.
[<Struct>]
type End = { Index: int64; Term: int64 }

/// A group's part of a log database.
type Kept = { Term: int64; Vote: int64; Cut: End; Log: End }

/// A table of one revision; the hash is of all its history.
[<Struct>]
type Shown = { Revision: int64; Chain: string }

type Act =
    /// `Crash`, or `Wipe` if nothing is left; the first one of a node is none of both. So many rounds are on disk.
    | Began of members: int64 * rounds: int64
    /// What was found of a group.
    | Opened of group: int64 * Kept * commit: int64
    /// `Stand`, `Vote`, `HearTerm`, `Propose`, `Receive`, `Install`, `ComeBack`, each by what it writes.
    | Wrote of group: int64 * Step list
    /// What was written before is one round,
    | Taken of round: int64
    /// and that is `Sync`.
    | Synced of round: int64
    /// `Win`.
    | Won of group: int64 * term: int64
    /// `Acknowledge`: said by the member,
    | Matched of group: int64 * term: int64 * index: int64
    /// and heard by the leader.
    | Counted of group: int64 * term: int64 * by: int64 * index: int64
    /// `Commit` on the leader of the entry's term, or what `Receive` and `Install` bring of it.
    | Committed of group: int64 * index: int64
    /// What the table is now, and what it was since the last time, as far as is known.
    | Applied of group: int64 * index: int64 * now: Shown * passed: Shown list

/// Time in nanoseconds, of one clock for all; lines of one life of a node are numbered from 1 on.
type Event = { Time: int64; Node: int64; Number: int64; Act: Act }

/// Why an event is no action of the specification.
type Reason =
    | MissesALine
    | BeginsInTheMiddle
    | LostWhatWasSynced
    | FindsSomethingElse
    | TermGoesBack
    | VotesTwice
    | VotesForWhoDoesNotStand
    | VotesForAnOlderLog
    | WinsWithoutVotes
    | WinsATermOfAnother
    | WinsWithoutWhatIsCommitted
    | WritesWhatNobodyProposed
    | LeavesAGap
    | DropsWhatIsCommitted
    | DropsWhatIsTheSame
    | KeepsAnothersTail
    | InstallsWhatIsNotCommitted
    | AcknowledgesWhatItDoesNotHave
    | CountsWhatNobodySaid
    | CommitsWithoutAMajority
    | AppliesWhatIsNotCommitted
    | AppliesToAnotherState
    | ShowsWhatItsLeaderSiteHasNot
    | TakesPartWithoutItsDisk
    | ComesBackWithTooLittle

type Mismatch = { Event: Event; Reason: Reason }

type Figures =
    { Events: int
      Groups: int
      Elections: int
      Proposed: int
      Committed: int
      Crashes: int
      Wipes: int }

/// The lines as nodes write them.
module Line =
    let private number (text: string) = Int64.Parse(text, Globalization.CultureInfo.InvariantCulture)

    let rec private steps words =
        match words with
        | [] -> []
        | "put" :: index :: term :: sum :: rest ->
            Put(number index, number term, UInt64.Parse(sum, Globalization.CultureInfo.InvariantCulture)) :: steps rest
        | "delete" :: first :: last :: rest -> Delete(number first, number last) :: steps rest
        | "hard" :: term :: vote :: cut :: cutTerm :: rest -> Hard(number term, number vote, number cut, number cutTerm) :: steps rest
        | other -> raise (FormatException $"no step of a log: {other}")

    let rec private shown words =
        match words with
        | [] -> []
        | revision :: chain :: rest -> { Revision = number revision; Chain = chain } :: shown rest
        | other -> raise (FormatException $"no revision and chain hash: {other}")

    let private act what words =
        match what, words with
        | "wrote", group :: written -> Wrote(number group, steps written)
        | "applied", group :: index :: revision :: chain :: passed ->
            Applied(number group, number index, { Revision = number revision; Chain = chain }, shown passed)
        | _ ->
            match what, List.map number words with
            | "began", [ members; rounds ] -> Began(members, rounds)
            | "opened", [ group; term; vote; cut; cutTerm; last; lastTerm; commit ] ->
                let cut, log = { Index = cut; Term = cutTerm }, { Index = last; Term = lastTerm }
                Opened(group, { Term = term; Vote = vote; Cut = cut; Log = log }, commit)
            | "taken", [ round ] -> Taken round
            | "synced", [ round ] -> Synced round
            | "won", [ group; term ] -> Won(group, term)
            | "matched", [ group; term; index ] -> Matched(group, term, index)
            | "counted", [ group; term; by; index ] -> Counted(group, term, by, index)
            | "committed", [ group; index ] -> Committed(group, index)
            | _ -> raise (FormatException $"no event of a trace: {what}")

    /// Fails with a sentence if it is none.
    let parse (line: string) =
        try
            match List.ofArray (line.Split ' ') with
            | time :: node :: place :: what :: words ->
                { Time = number time; Node = number node; Number = number place; Act = act what words }
            | _ -> raise (FormatException "it is too short")
        with
        | :? FormatException
        | :? OverflowException as e -> failwith $"This is no line of a trace: {line}: {e.Message}"

let private nothing = { Index = 0L; Term = 0L }
let private blank = { Term = 0L; Vote = 0L; Cut = nothing; Log = nothing }

/// A term in which a node won: what its log was then, and where it ends now.
type private Leadership = { Leader: int64; Base: End; mutable Last: int64 }

/// A group on a node.
type private Member() =
    member val Now = blank with get, set
    member val OnDisk = blank with get, set
    member val Commit = 0L with get, set
    member val Applied = 0L with get, set
    /// The term in which it leads; 0: none.
    member val Leads = 0L with get, set
    /// Its disk was lost, and it must come back with this much at least.
    member val Owes: int64 option = None with get, set

type private Group() =
    member val Members = Dictionary<int64, Member>()
    member val Terms = Dictionary<int64, Leadership>()
    member val Sums = Dictionary<struct (int64 * int64), uint64>()
    /// By candidate and term: its log when it stood.
    member val Stood = Dictionary<struct (int64 * int64), End>()
    /// By candidate and term: whose votes are on disk.
    member val Votes = Dictionary<struct (int64 * int64), Set<int64>>()
    /// By member and term: up to where it has said to have the leader's log, and up to where the leader knows.
    member val Matched = Dictionary<struct (int64 * int64), int64>()
    member val Counted = Dictionary<struct (int64 * int64), int64>()
    /// By node and term that it has left: up to where its log was that leader's then.
    member val Left = Dictionary<struct (int64 * int64), int64>()
    /// By node and term: whom it has voted for, on whichever disk.
    member val VotedFor = Dictionary<struct (int64 * int64), int64>()
    member val Shown = Dictionary<int64, Shown>()
    /// What is committed.
    member val Kept = nothing with get, set

    member group.Member node =
        match group.Members.TryGetValue node with
        | true, known -> known
        | _ ->
            let fresh = Member()
            group.Members[node] <- fresh
            fresh

    /// The term of an entry of a log; None: the log does not go that far.
    member group.TermAt (log: End) index =
        let rec back term =
            let before = group.Terms[term].Base
            if index > before.Index then term else back before.Term

        if index > log.Index || index < 0L then None
        elif index = 0L then Some 0L
        else Some(back log.Term)

    member group.Agree (one: End) (other: End) index =
        index <= one.Index && index <= other.Index && group.TermAt one index = group.TermAt other index

    member group.LogOf term =
        match group.Terms.TryGetValue term with
        | true, won when won.Last > won.Base.Index -> Some { Index = won.Last; Term = term }
        | true, won -> Some won.Base
        | _ -> None

    /// Up to where two logs are the same.
    member group.Common (one: End) (other: End) =
        let rec down index = if group.TermAt one index = group.TermAt other index then index else down (index - 1L)
        down (min one.Index other.Index)

    member group.Prefix (log: End) index = { Index = index; Term = group.TermAt log index |> Option.defaultValue 0L }
    member group.IsCommitted(at: End) = group.TermAt group.Kept at.Index = Some at.Term

/// One node's log database, through all of its lives.
type private Database() =
    member val Members = 0L with get, set
    member val Number = 0L with get, set
    member val Synced = 0L with get, set
    member val Taken = 0L with get, set
    member val Queued = List<struct (int64 * Kept)>() with get, set
    member val Rounds = Queue<struct (int64 * List<struct (int64 * Kept)>)>()

exception private Refused of Reason

let private refuse reason = raise (Refused reason)
let private require reason condition = if not condition then refuse reason

let private lookUp (table: Dictionary<'key, 'value>) key (otherwise: 'value) =
    match table.TryGetValue key with
    | true, known -> known
    | _ -> otherwise

let private newer (one: End) (other: End) = one.Term > other.Term || (one.Term = other.Term && one.Index >= other.Index)

type private Site() =
    let groups = Dictionary<int64, Group>()
    let nodes = Dictionary<int64, Database>()
    let mutable proposed = 0
    let mutable crashes = 0
    let mutable wipes = 0

    let groupOf id =
        match groups.TryGetValue id with
        | true, known -> known
        | _ ->
            let fresh = Group()
            groups[id] <- fresh
            fresh

    let isMajority node count = 2L * int64 count > nodes[node].Members

    /// What was written of this round is on disk.
    let settle node (round: List<struct (int64 * Kept)>) =
        for struct (id, kept) in round do
            let group = groupOf id
            (group.Member node).OnDisk <- kept

            if kept.Vote <> 0L then
                // A disk that was lost may have voted, and for itself without anybody's hearing of it.
                let voted = lookUp group.VotedFor (struct (node, kept.Term)) kept.Vote
                require VotesTwice (voted = kept.Vote || voted = node)
                group.VotedFor[struct (node, kept.Term)] <- kept.Vote
                let ballot = struct (kept.Vote, kept.Term)
                group.Votes[ballot] <- (lookUp group.Votes ballot Set.empty).Add node

    let settleThrough node (last: int64) =
        let database = nodes[node]

        while database.Rounds.Count > 0 && (let struct (round, _) = database.Rounds.Peek() in round <= last) do
            let struct (_, written) = database.Rounds.Dequeue()
            settle node written

    let lose node =
        wipes <- wipes + 1

        for group in groups.Values do
            match group.Members.TryGetValue node with
            | true, lost when lost.OnDisk <> blank || lost.Owes.IsSome -> group.Members[node] <- Member(Owes = Some group.Kept.Index)
            | _ -> group.Members.Remove node |> ignore

    let restart node =
        for group in groups.Values do
            match group.Members.TryGetValue node with
            | true, one ->
                one.Now <- one.OnDisk
                one.Leads <- 0L
            | _ -> ()

    let begin' node members rounds =
        match nodes.TryGetValue node with
        | true, database ->
            database.Number <- 0L

            if rounds = 0L && database.Synced > 0L then
                lose node
            else
                require LostWhatWasSynced (rounds >= database.Synced)
                crashes <- crashes + 1
                settleThrough node rounds

            database.Synced <- rounds
            database.Taken <- rounds
            database.Rounds.Clear()
            database.Queued.Clear()
            restart node
        | _ ->
            require BeginsInTheMiddle (rounds = 0L)
            nodes[node] <- Database(Members = members)

    /// A node that lost its disk has voted for a leader,
    let follow (group: Group) term vote =
        require VotesForWhoDoesNotStand (group.Terms.ContainsKey term && (vote = 0L || group.Terms[term].Leader = vote))

    /// and has what was committed when it began again.
    let comeBack (group: Group) node (one: Member) cut owes =
        require ComesBackWithTooLittle (cut >= owes)
        one.Owes <- None

        for table in [ group.Matched; group.Counted ] do
            for key in List.ofSeq table.Keys do
                if (let struct (by, _) = key in by = node) then table.Remove key |> ignore

    let vote (group: Group) node (one: Member) term vote =
        require TermGoesBack (term >= one.Now.Term)
        require VotesTwice (term > one.Now.Term || one.Now.Vote = 0L || vote = one.Now.Vote)

        if vote = node && (term, vote) <> (one.Now.Term, one.Now.Vote) then
            group.Stood[struct (node, term)] <- one.Now.Log
        elif vote <> 0L && (term, vote) <> (one.Now.Term, one.Now.Vote) then
            match group.Stood.TryGetValue(struct (vote, term)) with
            | true, log -> require VotesForAnOlderLog (newer log one.Now.Log)
            | _ -> refuse VotesForWhoDoesNotStand

    /// The state up to the cut takes the place of the entries, because it was applied, or installed. What is behind stays if it was not deleted, too.
    let cutAt (group: Group) (one: Member) (cut: End) deleted =
        require InstallsWhatIsNotCommitted (group.IsCommitted cut)
        one.Commit <- max one.Commit cut.Index
        let log = one.Now.Log
        let stays = log.Index > deleted
        require KeepsAnothersTail (not stays || (deleted = cut.Index && group.TermAt log cut.Index = Some cut.Term))
        one.Now <- { one.Now with Cut = cut; Log = (if stays then log else cut) }

    /// A leader's entries take the place of those that differ.
    let drop (group: Group) (one: Member) first instead =
        require DropsWhatIsCommitted (first > one.Commit)

        let differs =
            match instead with
            | Put(index, term, _) :: _ -> index = first && group.TermAt one.Now.Log first <> Some term
            | _ -> false

        require DropsWhatIsTheSame differs
        one.Now <- { one.Now with Log = group.Prefix one.Now.Log (first - 1L) }

    let put (group: Group) node (one: Member) index term sum =
        let before = one.Now.Log
        require LeavesAGap (index = before.Index + 1L)
        require WritesWhatNobodyProposed (group.Terms.ContainsKey term)
        let won = group.Terms[term]

        if won.Leader = node && one.Leads = term && one.Now.Term = term && index = won.Last + 1L then
            won.Last <- index
            group.Sums[struct (index, term)] <- sum
            proposed <- proposed + 1
        else
            let previous = if index - 1L > won.Base.Index then term else won.Base.Term

            // In the log of the leader whom it follows, which may have it from the one who proposed it.
            let isLeaders =
                match group.LogOf one.Now.Term with
                | Some log -> group.TermAt log index = Some term
                | None -> false

            require
                WritesWhatNobodyProposed
                (isLeaders
                 && index > won.Base.Index
                 && index <= won.Last
                 && lookUp group.Sums (struct (index, term)) 0UL = sum
                 && before.Term = previous)

        one.Now <- { one.Now with Log = { Index = index; Term = term } }

    let write node id steps =
        let group = groupOf id
        let one = group.Member node

        let hard term vote' =
            match one.Owes with
            | Some _ -> follow group term vote'
            | None -> vote group node one term vote'

            if term > one.Now.Term then
                match group.LogOf one.Now.Term with
                | Some log -> group.Left[struct (node, one.Now.Term)] <- group.Common one.Now.Log log
                | None -> ()

            one.Now <- { one.Now with Term = term; Vote = vote' }

        let rec go steps =
            match steps with
            | [] -> ()
            | Delete(0L, _) :: rest ->
                one.Now <- blank
                go rest
            | Delete(_, last) :: Hard(term, vote', cut, cutTerm) :: rest ->
                hard term vote'
                one.Owes |> Option.iter (comeBack group node one cut)
                cutAt group one { Index = cut; Term = cutTerm } last
                go rest
            | Delete(first, _) :: rest ->
                drop group one first rest
                go rest
            | Put(index, term, sum) :: rest ->
                require TakesPartWithoutItsDisk one.Owes.IsNone
                put group node one index term sum
                go rest
            | Hard(term, vote', cut, cutTerm) :: rest ->
                require FindsSomethingElse ({ Index = cut; Term = cutTerm } = one.Now.Cut)
                hard term vote'
                go rest

        go steps
        nodes[node].Queued.Add(struct (id, one.Now))

    let opened node id (found: Kept) commit =
        let group = groupOf id
        let one = group.Member node
        require TakesPartWithoutItsDisk one.Owes.IsNone
        require FindsSomethingElse (found = one.Now)
        require AppliesWhatIsNotCommitted (group.Agree found.Log group.Kept commit)
        one.Commit <- commit
        one.Applied <- commit
        one.Leads <- 0L

    let won node id term =
        let group = groupOf id
        let one = group.Member node
        require WinsATermOfAnother (not (group.Terms.ContainsKey term))
        require WinsWithoutVotes (isMajority node (lookUp group.Votes (struct (node, term)) Set.empty).Count)
        // One who is late, and wins when a later leader has committed already, need not have that.
        let isLatest = group.Terms.Keys |> Seq.forall (fun other -> other < term)
        require WinsWithoutWhatIsCommitted (not isLatest || group.Agree one.Now.Log group.Kept group.Kept.Index)
        group.Terms[term] <- { Leader = node; Base = one.Now.Log; Last = one.Now.Log.Index }
        if one.Now.Term = term then one.Leads <- term

    let matched node id term index =
        let group = groupOf id
        let one = group.Member node
        require TakesPartWithoutItsDisk one.Owes.IsNone

        if one.Now.Term <= term then
            match group.LogOf term with
            | Some log ->
                require AcknowledgesWhatItDoesNotHave (one.OnDisk.Term >= term)
                require AcknowledgesWhatItDoesNotHave (group.Agree one.OnDisk.Log log index && group.Agree one.Now.Log log index)
            | None -> refuse AcknowledgesWhatItDoesNotHave
        else
            // Said when it had heard of a later leader, whose entries may have come since.
            require AcknowledgesWhatItDoesNotHave (index <= lookUp group.Left (struct (node, term)) 0L)

        let key = struct (node, term)
        group.Matched[key] <- max index (lookUp group.Matched key 0L)

    let counted node id term by index =
        let group = groupOf id
        let key = struct (by, term)

        require
            CountsWhatNobodySaid
            (group.Terms.ContainsKey term && group.Terms[term].Leader = node && lookUp group.Matched key -1L >= index)

        group.Counted[key] <- max index (lookUp group.Counted key 0L)

    let committed node id index =
        let group = groupOf id
        let one = group.Member node

        match group.TermAt one.Now.Log index with
        | None -> refuse CommitsWithoutAMajority
        | Some term ->
            let others =
                group.Members.Keys
                |> Seq.filter (fun other -> other <> node && lookUp group.Counted (struct (other, term)) 0L >= index)
                |> Seq.length

            let own = if group.Agree one.OnDisk.Log one.Now.Log index then 1 else 0
            let at = { Index = index; Term = term }

            if term > 0L && group.Terms[term].Leader = node && isMajority node (own + others) then
                require CommitsWithoutAMajority (group.Agree one.Now.Log group.Kept (min index group.Kept.Index))
                let later = group.Terms |> Seq.filter (fun won -> won.Key > term) |> List.ofSeq
                require CommitsWithoutAMajority (later |> List.forall (fun won -> group.TermAt won.Value.Base index = Some term))
                if index > group.Kept.Index then group.Kept <- at
            else
                require CommitsWithoutAMajority (group.IsCommitted at)

            one.Commit <- max one.Commit index

    let applied node id index (now: Shown) =
        let group = groupOf id
        let one = group.Member node
        require AppliesWhatIsNotCommitted (index <= one.Commit && index > one.Applied)
        require AppliesToAnotherState (lookUp group.Shown index now = now)
        group.Shown[index] <- now
        one.Applied <- index

    let taken node round =
        let database = nodes[node]
        require LostWhatWasSynced (round = database.Taken + 1L)
        database.Taken <- round
        database.Rounds.Enqueue(struct (round, database.Queued))
        database.Queued <- List()

    let synced node round =
        require LostWhatWasSynced (round = nodes[node].Synced + 1L)
        settleThrough node round
        nodes[node].Synced <- round

    member _.Feed(event: Event) =
        let node = event.Node

        match event.Act with
        | Began(members, rounds) -> begin' node members rounds
        | _ -> require BeginsInTheMiddle (nodes.ContainsKey node)

        nodes[node].Number <- nodes[node].Number + 1L
        require MissesALine (event.Number = nodes[node].Number)

        match event.Act with
        | Began _ -> ()
        | Opened(group, found, commit) -> opened node group found commit
        | Wrote(group, steps) -> write node group steps
        | Taken round -> taken node round
        | Synced round -> synced node round
        | Won(group, term) -> won node group term
        | Matched(group, term, index) -> matched node group term index
        | Counted(group, term, by, index) -> counted node group term by index
        | Committed(group, index) -> committed node group index
        | Applied(group, index, now, _) -> applied node group index now

    member _.Figures events =
        { Events = events
          Groups = groups.Count
          Elections = groups.Values |> Seq.sumBy _.Terms.Count
          Proposed = proposed
          Committed = groups.Values |> Seq.sumBy (fun group -> int group.Kept.Index)
          Crashes = crashes
          Wipes = wipes }

/// The first event that is no action of the specification. All nodes of one site, from their first life on; in the order of time.
let check (events: Event seq) : Result<Figures, Mismatch> =
    let site = Site()
    let mutable count = 0

    let unmatched =
        events
        |> Seq.tryPick (fun event ->
            try
                site.Feed event
                count <- count + 1
                None
            with Refused reason ->
                Some { Event = event; Reason = reason })

    match unmatched with
    | Some mismatch -> Error mismatch
    | None -> Ok(site.Figures count)

/// What several lives of nodes have written down, each in its order, in the order of time.
let merge (lives: Event seq list) =
    seq {
        let waiting = PriorityQueue<IEnumerator<Event>, int64>()
        let await (life: IEnumerator<Event>) = if life.MoveNext() then waiting.Enqueue(life, life.Current.Time) else life.Dispose()

        for life in lives do
            await (life.GetEnumerator())

        while waiting.Count > 0 do
            let life = waiting.Dequeue()
            life.Current
            await life
    }

/// SiteReplication seen from outside (`SiteHistory`): whatever a node of a follower site shows is a state of the leader site's. Not when: between what a leader's node shows and the line that says so others may
/// have come far. Counts the states.
let checkFollower (leader: Event seq) (follower: Event seq) : Result<int, Mismatch> =
    let had = HashSet<Shown>()

    for event in leader do
        match event.Act with
        | Applied(_, _, now, passed) ->
            for shown in now :: passed do
                had.Add shown |> ignore
        | _ -> ()

    let mutable count = 0

    let isStrange event =
        match event.Act with
        | Applied(_, _, now, _) ->
            count <- count + 1
            now.Revision > 0L && not (had.Contains now)
        | _ -> false

    match Seq.tryFind isStrange follower with
    | Some event -> Error { Event = event; Reason = ShowsWhatItsLeaderSiteHasNot }
    | None -> Ok count
