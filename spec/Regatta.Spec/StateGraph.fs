namespace Regatta.Spec

open System.Collections.Generic

/// The graph of a table so small that every command can be tried in every state of it. What is found is a walk through all of it, for a table to be led along.
module StateGraph =
    let private relations = [ Relation.Equal; Relation.NotEqual; Relation.Greater; Relation.Less ]
    let private put key value prevKv = Op.Put { Key = key; Value = value; PrevKv = prevKv }
    let private delete range prevKv count = Op.Delete { Range = range; PrevKv = prevKv; Count = count }

    /// All of the table's keys and some of them.
    let private ranges (keys: Key list) =
        [ KeyRange.all; KeyRange.between keys.Head (List.last keys); KeyRange.between (List.last keys) keys.Head ]

    /// Every kind of command, on these keys and with these values; the simplest first.
    let commands (keys: Key list) (values: Value list) =
        let operands =
            [ Operand.Value values.Head; Operand.Version 1L; Operand.CreateRevision 0L; Operand.ModRevision 1L; Operand.Exists ]

        let after key = keys |> List.tryFind (fun other -> other > key) |> Option.defaultValue keys.Head
        let txn compares success failure = Command.Txn { Compares = compares; Success = success; Failure = failure }
        let everything projection limit = Op.Range { Range = KeyRange.all; Limit = limit; Projection = projection }

        [| for key in keys do
               for value in values do
                   Command.Put { Key = key; Value = value; PrevKv = false }
                   Command.Put { Key = key; Value = value; PrevKv = true }

               for prevKv, count in [ false, false; false, true; true, false ] do
                   Command.Delete { Range = KeyRange.single key; PrevKv = prevKv; Count = count }

           for range in ranges keys do
               Command.Delete { Range = range; PrevKv = false; Count = false }
               Command.Delete { Range = range; PrevKv = true; Count = true }

           Command.Dummy
           txn [] [] [ put keys.Head values.Head false ]

           for key in keys do
               let other = after key
               // Each operation sees what those before it did.
               txn [] [ put key values.Head true; put key (List.last values) true; everything Projection.Full 0L ] []
               txn [] [ put key values.Head false; delete (KeyRange.single key) true true; everything Projection.KeysOnly 1L ] []
               txn [] [ delete KeyRange.all false true; put key values.Head true; everything Projection.CountOnly 0L ] []

               for range in [ KeyRange.single key; KeyRange.between keys.Head (after key) ] do
                   for relation in relations do
                       for operand in operands do
                           txn
                               [ { Range = range; Relation = relation; Operand = operand } ]
                               [ put other (List.last values) true; everything Projection.Full 1L ]
                               [ delete (KeyRange.single other) true false; put key values.Head false ] |]

    /// Every kind of question.
    let queries (keys: Key list) =
        let filters = [ RevisionFilter.None; { RevisionFilter.None with MinMod = 2L }; { RevisionFilter.None with MaxCreate = 3L } ]

        [ for range in KeyRange.single keys.Head :: ranges keys do
              for limit in [ 0L; 1L ] do
                  for projection in [ Projection.Full; Projection.KeysOnly; Projection.CountOnly ] do
                      for filter in filters do
                          Query.Range({ Range = range; Limit = limit; Projection = projection }, filter) ]

    /// What makes two states alike: which keys there are, with which values, and whether they were put once or more often. Revisions only grow.
    let shape (state: State) = [ for KeyValue(key, entry) in state.Entries -> key, entry.Value, min entry.Version 2L ]

    /// A way through the graph on which every command is applied in a state of every shape that can be reached, from the empty table on.
    /// The commands, and the shape in which each is applied.
    let walk (commands: Command array) =
        let tried = Dictionary<_, bool array>()

        let triedIn shape =
            match tried.TryGetValue shape with
            | true, known -> known
            | _ ->
                let fresh = Array.create commands.Length false
                tried.Add(shape, fresh)
                fresh

        /// The commands that lead from a state to the nearest one in which something has not been tried.
        let wayFrom state =
            let seen = HashSet [ shape state ]
            let waiting = Queue [ state, [] ]
            let mutable found = None

            while found.IsNone && waiting.Count > 0 do
                let here, way = waiting.Dequeue()

                if Array.contains false (triedIn (shape here)) then
                    found <- Some(List.rev way)
                else
                    for command in commands do
                        let there, _ = Table.apply here command
                        if seen.Add(shape there) then waiting.Enqueue(there, command :: way)

            found

        let taken = List()

        let take state command =
            taken.Add(command, shape state)
            Table.apply state command |> fst

        let rec follow state =
            let here = triedIn (shape state)

            match Array.tryFindIndex not here with
            | Some index ->
                here[index] <- true
                follow (take state commands[index])
            | None ->
                match wayFrom state with
                | Some way -> follow (List.fold take state way)
                | None -> ()

        follow (Table.create Generate.incarnation)
        List.ofSeq taken
