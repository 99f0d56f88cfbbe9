/// Traces held against TableRaft: each event must be one of its actions, taken in a state in which it may be taken.
module Regatta.Spec.RaftTraceCheck

open System.Collections.Generic
open Regatta.Spec.RaftTrace
open Regatta.Spec.TracedGroup

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
    | TakesPartWithoutItsDisk
    | ComesBackWithTooLittle
    | ComesBackInAnOlderTerm

type Mismatch = { Event: Event; Reason: Reason }

type Figures =
    { Events: int
      Groups: int
      Elections: int
      Proposed: int
      Committed: int
      Crashes: int
      Wipes: int }

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
            | true, lost when lost.OnDisk <> blank || lost.Owes.IsSome ->
                let terms =
                    Map
                        [ for other in group.Members do
                              if other.Key <> node && other.Value.Owes.IsNone then other.Key, other.Value.OnDisk.Term ]

                group.Members[node] <- Member(Owes = Some { Least = group.Kept.Index; Terms = terms })
            | _ -> group.Members.Remove node |> ignore

            for other in group.Members.Values do
                other.Owes <- other.Owes |> Option.map (fun owes -> { owes with Terms = owes.Terms.Remove node })

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

    /// A node that lost its disk has voted for a leader, whose term is none that the others have left before it asked,
    let follow (group: Group) owes term vote =
        require ComesBackInAnOlderTerm (owes.Terms.Values |> Seq.forall (fun known -> term >= known))
        require VotesForWhoDoesNotStand (group.Terms.ContainsKey term && (vote = 0L || group.Terms[term].Leader = vote))

    /// and has what was committed when it began again.
    let comeBack (group: Group) node (one: Member) cut owes =
        require ComesBackWithTooLittle (cut >= owes.Least)
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
            | Some owes -> follow group owes term vote'
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
