namespace Regatta.Spec

open System
open System.Collections.Generic

/// What a call did with one key.
type Access =
    {
        /// The value that it found, None for no such key; nothing where the client was not told.
        Found: Value option voption
        /// What it may have left there: nothing for a read, more than one for a call of which it is not known which way it went.
        Left: Value option list
        Began: int64
        /// None: it may take effect at any later time, or never.
        Ended: int64 option
    }

/// Searches for an order of the calls in which each key is a register: every call between its beginning and its end, every read what was written last. It trusts no revision, and no other part of the answers than
/// values; the search is Wing's and Gong's, with Lowe's memory of what was tried. Exponential at worst; calls that overlap little make it nearly linear.
module Linearizability =
    /// A place in the search: who has taken effect, and what the key holds.
    [<Struct; CustomEquality; NoComparison>]
    type private Tried =
        { Words: uint64 array
          Value: int }

        override this.GetHashCode() =
            let mutable hash = HashCode()

            for word in this.Words do
                hash.Add word

            hash.Add this.Value
            hash.ToHashCode()

        override this.Equals other =
            match other with
            | :? Tried as other -> this.Value = other.Value && this.Words.AsSpan().SequenceEqual(ReadOnlySpan other.Words)
            | _ -> false

    /// Which calls have taken effect. Those with an end come in the order in which they began, so that all but a few next to each other are alike.
    type private Done(ended: int, open': int) =
        let closed = Array.create ended false
        let pending = Array.create open' false
        let mutable low = 0
        let mutable left = ended
        member _.IsAll = left = 0
        /// All ended ones before this have taken effect.
        member _.Low = low
        member _.Has index = if index < ended then closed[index] else pending[index - ended]

        member _.Set(index, value) =
            if index >= ended then
                pending[index - ended] <- value
            else
                closed[index] <- value
                left <- if value then left - 1 else left + 1
                if not value then low <- min low index

                while low < ended && closed[low] do
                    low <- low + 1

        /// How the open ones stand, the first ended one without effect, and how those behind it stand up to the last with effect.
        member _.Words(limit: int) =
            let bits (flags: bool array) from upTo =
                [| for start in from..64..upTo ->
                       let mutable word = 0UL

                       for place in start .. min upTo (start + 63) do
                           if flags[place] then word <- word ||| (1UL <<< (place - start))

                       word |]

            let behind = bits closed low (min limit ended - 1)
            let last = behind |> Array.tryFindIndexBack ((<>) 0UL) |> Option.defaultValue -1
            Array.concat [ bits pending 0 (open' - 1); [| uint64 low |]; Array.truncate (last + 1) behind ]

    /// Values by number; 0 is "no such key".
    let private number () =
        let numbers = Dictionary<Value, int>()

        function
        | None -> 0
        | Some value ->
            match numbers.TryGetValue value with
            | true, known -> known
            | _ ->
                numbers[value] <- numbers.Count + 1
                numbers.Count

    /// Whether there is such an order. `first` is the value before all calls.
    let search (first: Value option) (accesses: Access list) =
        let number = number ()
        let ended = accesses |> List.filter _.Ended.IsSome |> List.sortBy _.Began |> Array.ofList
        // A write of unknown fate whose value nobody found changes nothing that anybody saw.
        let found =
            HashSet
                [ for access in accesses do
                      match access.Found with
                      | ValueSome(Some value) -> value
                      | _ -> () ]

        let matters access =
            access.Left
            |> List.exists (function
                | Some value -> found.Contains value
                | None -> true)

        let pending =
            accesses
            |> List.filter (fun access -> access.Ended.IsNone && matters access)
            |> List.sortBy (fun access -> access.Left, access.Began)
            |> Array.ofList

        let all = Array.append ended pending

        let finds =
            all
            |> Array.map (fun access ->
                match access.Found with
                | ValueSome value -> number value
                | ValueNone -> -1)

        let leaves = all |> Array.map (fun access -> access.Left |> List.map number |> Array.ofList)
        let began = all |> Array.map _.Began
        let ends = all |> Array.map (fun access -> defaultArg access.Ended Int64.MaxValue)
        let effects = Done(ended.Length, pending.Length)
        let tried = HashSet<Tried>()
        // For each call that has taken effect: which, which of its values it left, and what was there before.
        let path = Stack<struct (int * int * int)>()

        /// Nothing may take effect that began after one ended that has not taken effect yet.
        let horizon () =
            let mutable earliest = Int64.MaxValue
            let mutable index = effects.Low

            while index < ended.Length && began[index] <= earliest do
                if not (effects.Has index) then earliest <- min earliest ends[index]
                index <- index + 1

            earliest, index

        /// An open call that would change nothing is left for later, and of equal ones the first goes first.
        let isIdle index value =
            index >= ended.Length
            && (Array.forall ((=) value) leaves[index]
                || (index > ended.Length && leaves[index] = leaves[index - 1] && not (effects.Has(index - 1))))

        /// The next call to try, from this one on, and the value that it leaves.
        let rec next value (earliest, limit) index choice =
            if index >= all.Length then
                ValueNone
            elif index < effects.Low then
                next value (earliest, limit) effects.Low 0
            elif index >= limit && index < ended.Length then
                next value (earliest, limit) ended.Length 0
            elif effects.Has index || isIdle index value || began[index] > earliest || (finds[index] >= 0 && finds[index] <> value) then
                next value (earliest, limit) (index + 1) 0
            elif leaves[index].Length = 0 && choice = 0 then
                ValueSome(struct (index, choice, value))
            elif choice < leaves[index].Length then
                ValueSome(struct (index, choice, leaves[index][choice]))
            else
                next value (earliest, limit) (index + 1) 0

        let rec go value index choice =
            if effects.IsAll then
                true
            else
                let earliest, limit = horizon ()

                match next value (earliest, limit) index choice with
                | ValueSome(struct (index, choice, left)) ->
                    effects.Set(index, true)

                    if tried.Add { Words = effects.Words limit; Value = left } then
                        path.Push(struct (index, choice, value))
                        go left 0 0
                    else
                        effects.Set(index, false)
                        go value index (choice + 1)
                | ValueNone when path.Count = 0 -> false
                | ValueNone ->
                    let struct (index, choice, before) = path.Pop()
                    effects.Set(index, false)
                    go before index (choice + 1)

        go (number first) 0 0

    let private hasKey (range: KeyRange) keys =
        if KeyRange.isSingle range then [ range.Key ] else keys |> List.filter (KeyRange.contains range)

    /// What a range found of each key; nothing where it may have been cut short.
    let private foundBy keys (op: RangeOp) (answer: RangeAnswer) =
        let isWhole = op.Projection = Projection.Full && not answer.More
        let values = Map.ofList [ for kv in answer.Kvs -> kv.Key, kv.Entry.Value ]
        [ if isWhole then for key in hasKey op.Range keys -> key, Map.tryFind key values ]

    /// What the operations of a branch did with each key: what the first one found that says so, before anything was written; what the last one left.
    let private branch keys (ops: (Op * Response option) list) =
        let merge known (key, found: Value option voption, left: Value option option) =
            let oldFound, oldLeft = Map.tryFind key known |> Option.defaultValue (ValueNone, None)
            let first = if oldFound.IsSome || oldLeft.IsSome then oldFound else found
            Map.add key (first, (if left.IsSome then left else oldLeft)) known

        let did op =
            match op with
            | Op.Put put, Some(Response.Put previous) when put.PrevKv ->
                [ put.Key, ValueSome(previous |> Option.map _.Entry.Value), Some(Some put.Value) ]
            | Op.Put put, _ -> [ put.Key, ValueNone, Some(Some put.Value) ]
            | Op.Delete delete, Some(Response.Delete(_, previous)) when delete.PrevKv ->
                [ for key in hasKey delete.Range keys ->
                      key, ValueSome(previous |> List.tryFind (fun kv -> kv.Key = key) |> Option.map _.Entry.Value), Some None ]
            | Op.Delete delete, _ -> [ for key in hasKey delete.Range keys -> key, ValueNone, Some None ]
            | Op.Range range, Some(Response.Range answer) -> [ for key, value in foundBy keys range answer -> key, ValueSome value, None ]
            | Op.Range _, _ -> []

        ops |> List.collect did |> List.fold merge Map.empty

    let private ofTxn keys (txn: Txn) response =
        match response with
        | Some(Response.Txn(succeeded, responses)) ->
            let ops = if succeeded then txn.Success else txn.Failure
            // Whether there are as many answers as operations is for the other checker to say.
            [ branch keys (Seq.zip ops (Seq.map Some responses) |> List.ofSeq) ]
        | _ -> [ for ops in [ txn.Success; txn.Failure ] -> branch keys [ for op in ops -> op, None ] ]

    let private waysOf keys request response =
        match request with
        | Request.Write(Command.Put op) -> [ branch keys [ Op.Put op, response ] ]
        | Request.Write(Command.Delete op) -> [ branch keys [ Op.Delete op, response ] ]
        | Request.Write(Command.Txn txn)
        | Request.Read(Query.Txn txn) -> ofTxn keys txn response
        | Request.Read(Query.Range(op, filter)) when filter = RevisionFilter.None -> [ branch keys [ Op.Range op, response ] ]
        | Request.Write Command.Dummy
        | Request.Read(Query.Range _)
        | Request.LocalRead _ -> []

    /// What the calls did with each of these keys, as far as their clients were told. Local reads promise no such order and are left out, and so are compares.
    let accesses (keys: Key list) (calls: Observation list) : Map<Key, Access list> =
        let ofCall call =
            let ended, response =
                match call.Outcome with
                | Outcome.Answered reply -> Some call.Ended, Some reply.Response
                | Outcome.Unknown
                | Outcome.Refused -> None, None

            let ways = if call.Outcome = Outcome.Refused then [] else waysOf keys call.Request response

            [ for key in ways |> List.collect (Map.toList >> List.map fst) |> List.distinct do
                  let here = ways |> List.choose (Map.tryFind key)

                  let access =
                      { Found = fst here.Head
                        Left = here |> List.choose snd
                        Began = call.Began
                        Ended = ended }
                  // What was only looked at by a call without an answer is nothing.
                  if ended.IsSome || not access.Left.IsEmpty then key, access ]

        calls |> List.collect ofCall |> List.groupBy fst |> List.map (fun (key, found) -> key, List.map snd found) |> Map.ofList

    /// The keys for which there is no such order.
    let check (first: State) (calls: Observation list) : Key list =
        let mentioned op =
            match op with
            | Op.Put put -> [ put.Key ]
            | Op.Delete delete when KeyRange.isSingle delete.Range -> [ delete.Range.Key ]
            | Op.Range range when KeyRange.isSingle range.Range -> [ range.Range.Key ]
            | Op.Delete _
            | Op.Range _ -> []

        let keysOf call =
            match call.Request with
            | Request.Write(Command.Put op) -> [ op.Key ]
            | Request.Write(Command.Delete op) -> mentioned (Op.Delete op)
            | Request.Write(Command.Txn txn)
            | Request.Read(Query.Txn txn) -> List.collect mentioned (txn.Success @ txn.Failure)
            | Request.Read(Query.Range(op, _)) -> mentioned (Op.Range op)
            | Request.Write Command.Dummy
            | Request.LocalRead _ -> []

        let rec keysIn response =
            match response with
            | Response.Range answer -> answer.Kvs |> List.map _.Key
            | Response.Delete(_, previous) -> previous |> List.map _.Key
            | Response.Put previous -> previous |> Option.map _.Key |> Option.toList
            | Response.Txn(_, responses) -> List.collect keysIn responses
            | Response.Dummy -> []

        let answered = calls |> List.choose Observation.reply |> List.collect (_.Response >> keysIn)
        let keys = List.distinct (List.collect keysOf calls @ answered @ [ for key, _ in Map.toList first.Entries -> key ])

        [ for KeyValue(key, accesses) in accesses keys calls do
              let value = Map.tryFind key first.Entries |> Option.map _.Value
              if not (search value accesses) then key ]
