namespace Regatta.Spec

/// One call of a session, at whichever site it was made.
type SessionCall =
    {
        Call: Observation
        /// Of the table that answered.
        Life: Incarnation
        /// What the answer said of itself: older than that, in the unit of the clock, it is not. None: it did not say.
        Staleness: int64 option
    }

/// Why a session has seen what no session may.
type Broken =
    /// A state that the leader site's table never had, or not whole.
    | NotAPrefix of Contradiction
    | WentBack of earlier: SessionCall * later: SessionCall
    | OwnWriteMissing of write: SessionCall * read: SessionCall
    /// The answer lacks a write that was acknowledged longer before than its bound.
    | BoundTooLow of read: SessionCall * missing: Observation
    /// A table that was deleted, or of another history, in the place of one that the session knew.
    | OtherLife of earlier: SessionCall * later: SessionCall

/// Checks what sessions have seen of one name's table at all sites against the changelog of the leader site's.
module Sessions =
    let private revision call = Observation.reply call.Call |> Option.map _.Revision |> Option.defaultValue -1L
    let private isAnswered call = (Observation.reply call.Call).IsSome
    let private isWrite call = (Observation.write call.Call).IsSome

    /// Against the answers that had come before the call was made: the one with the greatest revision of the latest life, and the greatest own write.
    let private ordered calls =
        let answered = calls |> List.filter isAnswered
        // A later life is more than any revision of an earlier one.
        let mark call = (call.Life.Number <<< 40) + revision call
        let seen = Observation.lastBefore mark _.Call.Ended answered
        let own = Observation.lastBefore mark _.Call.Ended (List.filter isWrite answered)

        [ for later in List.sortBy _.Call.Began answered do
              match own later.Call.Began, seen later.Call.Began with
              | _, Some earlier when later.Life.History <> earlier.Life.History || later.Life.Number < earlier.Life.Number ->
                  OtherLife(earlier, later)
              | Some write, _ when write.Life = later.Life && revision write > revision later -> OwnWriteMissing(write, later)
              | _, Some earlier when earlier.Life = later.Life && revision earlier > revision later -> WentBack(earlier, later)
              | _ -> () ]

    /// Every write that was acknowledged before the answer began, less the bound, is in it: the answer was made later, and its bound counts from then.
    let private bounded calls =
        let writes = calls |> List.filter (fun call -> isAnswered call && isWrite call)

        let bounds =
            [ for call in calls do
                  match call.Staleness with
                  | Some staleness when isAnswered call && not (isWrite call) -> call, call.Call.Began - staleness
                  | _ -> () ]
            |> List.sortBy snd

        let before = Observation.lastBefore revision _.Call.Ended writes

        [ for read, moment in bounds do
              match before moment with
              | Some write when revision write > revision read && write.Life = read.Life -> BoundTooLow(read, write.Call)
              | _ -> () ]

    /// What is broken; none in order. `first` and the records are those of one life of the table; calls of its other lives are checked for their order only. All writes of that life must be among the calls. A read at
    /// the site that was asked is a local one; a `Read` is global.
    let check (first: State) (records: (Revision * Effect list) list) (calls: SessionCall list) : Broken list =
        let ofThisLife = calls |> List.filter (fun call -> call.Life = first.Incarnation)
        let prefix = Witness.check first records (ofThisLife |> List.map _.Call) |> List.map NotAPrefix
        let sessions = calls |> List.groupBy _.Call.Client |> List.collect (snd >> ordered)
        prefix @ sessions @ bounded ofThisLife
