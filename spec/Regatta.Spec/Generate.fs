namespace Regatta.Spec

open FsCheck
open FsCheck.FSharp

/// Random keys, commands and queries for every property test of a table. A small universe of keys, so that commands meet: prefixes of
/// each other, bytes on both sides of a sign bit, neighbours in the order, the longest key allowed. What compares and filters
/// ask for is drawn near what the state really holds, so that both outcomes are common.
module Generate =
    let private bytes values = values |> List.map byte |> Array.ofList |> Bytes.OfArray

    /// Simplest first, which is the direction in which they shrink.
    let keys =
        [ yield! List.map Bytes.OfText [ "a"; "b"; "c"; "aa"; "ab"; "aaa"; "key"; "key/1"; "key/2"; "key0" ]
          yield! List.map bytes [ [ 0 ]; [ 0; 0 ]; [ 1 ]; [ 0x61; 0 ]; [ 0x61; 0; 0 ]; [ 0x61; 0xff ]; [ 0x61; 0xff; 0xff ] ]
          yield! List.map bytes [ [ 0x7f ]; [ 0x80 ]; [ 0xfe ]; [ 0xff ]; [ 0xff; 0 ]; [ 0xff; 0xff ] ]
          yield! [ Bytes.Repeat(0x61uy, 1023); Bytes.Repeat(0x61uy, 1024); Bytes.Repeat(0xffuy, 1024) ] ]

    let values =
        [ yield Bytes.Empty
          yield! List.map Bytes.OfText [ "v"; "w"; "vv" ]
          yield! List.map bytes [ [ 0 ]; [ 0x7f ]; [ 0x80 ]; [ 0xff ] ]
          yield Bytes.Repeat(0x78uy, 5000) ]

    let key = Gen.elements keys
    let private number = Gen.choose (0, 999) |> Gen.map (string >> Bytes.OfText)
    let value = Gen.frequency [ 2, Gen.elements values; 1, number ]
    let private flag = Gen.elements [ true; false ]

    let private narrow =
        Gen.oneof [ Gen.map KeyRange.single key; Gen.map (fun (key: Key) -> KeyRange.between key (key.Append Bytes.Zero)) key ]

    /// Empty and inverted ranges are among them.
    let private wide =
        Gen.frequency
            [ 4, Gen.map2 KeyRange.between key key
              2, Gen.map KeyRange.prefix key
              2, Gen.map KeyRange.from key
              1, Gen.constant KeyRange.all ]

    let range = Gen.frequency [ 2, narrow; 3, wide ]

    let rangeOp =
        gen {
            let! range = range

            let! limit =
                Gen.frequency [ 3, Gen.constant 0L; 4, Gen.elements [ 1L; 2L; 3L; 5L ]; 1, Gen.elements [ 1000L; System.Int64.MaxValue ] ]

            let! projection =
                Gen.frequency [ 3, Gen.constant Projection.Full; 2, Gen.elements [ Projection.KeysOnly; Projection.CountOnly ] ]

            return { Range = range; Limit = limit; Projection = projection }
        }

    let putOp = Gen.map3 (fun key value prevKv -> { Key = key; Value = value; PrevKv = prevKv }) key value flag

    /// Mostly narrow: a table that is emptied all the time never gets deep.
    let deleteOp =
        gen {
            let! range = Gen.frequency [ 6, narrow; 1, wide ]
            let! prevKv = flag
            let! count = flag
            return { Range = range; PrevKv = prevKv; Count = count }
        }

    /// A number that a compare may be about: what the key has, one beside it, or an extreme.
    let private near actual =
        Gen.frequency
            [ 6, Gen.constant actual
              3, Gen.elements [ actual - 1L; actual + 1L ]
              1, Gen.elements [ 0L; 1L; -1L; System.Int64.MaxValue; System.Int64.MinValue ] ]

    let private anyCompare (state: State) =
        gen {
            let! range = Gen.frequency [ 3, Gen.map KeyRange.single key; 2, range ]
            let! relation = Gen.elements [ Relation.Equal; Relation.NotEqual; Relation.Greater; Relation.Less ]
            let found = Reading.select range state.Entries |> List.tryHead |> Option.map _.Entry
            let of' field = near (found |> Option.map field |> Option.defaultValue 0L)
            let stored = found |> Option.map _.Value |> Option.defaultValue Bytes.Empty

            let! operand =
                Gen.oneof
                    [ Gen.oneof [ value; Gen.constant stored ] |> Gen.map Operand.Value
                      of' _.Version |> Gen.map Operand.Version
                      of' _.CreateRevision |> Gen.map Operand.CreateRevision
                      of' _.ModRevision |> Gen.map Operand.ModRevision
                      Gen.constant Operand.Exists ]

            return { Range = range; Relation = relation; Operand = operand }
        }

    /// Half of them hold if one of a few does: else compares that hold are rare, and those that all must hold rarer.
    let compare (state: State) =
        let choose candidates wanted =
            candidates
            |> List.tryFind (fun compared -> wanted && Reading.holds compared state.Entries)
            |> Option.defaultValue (List.head candidates)

        Gen.map2 choose (Gen.listOfLength 4 (anyCompare state)) flag

    let private listUpTo longest item = Gen.choose (0, longest) |> Gen.bind (fun length -> Gen.listOfLength length item)

    let private txnOf op (state: State) =
        gen {
            let! compares = Gen.frequency [ 1, Gen.constant []; 4, listUpTo 2 (compare state) ]
            let! success = listUpTo 5 op
            let! failure = listUpTo 4 op
            return { Compares = compares; Success = success; Failure = failure }
        }

    let op = Gen.frequency [ 2, Gen.map Op.Range rangeOp; 4, Gen.map Op.Put putOp; 2, Gen.map Op.Delete deleteOp ]

    /// A transaction that may change something, though the branch it takes may not.
    let txn state =
        gen {
            let! txn = txnOf op state
            let! put = putOp
            return if Txn.isReadOnly txn then { txn with Failure = [ Op.Put put ] } else txn
        }

    let readOnlyTxn state = txnOf (Gen.map Op.Range rangeOp) state

    /// A mutating command.
    let command (state: State) =
        Gen.frequency
            [ 50, Gen.map Command.Put putOp
              15, Gen.map Command.Delete deleteOp
              30, Gen.map Command.Txn (txn state)
              2, Gen.constant Command.Dummy ]

    let filter (state: State) =
        let bound = Gen.frequency [ 3, Gen.constant 0L; 2, Gen.choose64 (1L, state.Revision + 1L) ]
        Gen.map4 (fun a b c d -> { MinMod = a; MaxMod = b; MinCreate = c; MaxCreate = d }) bound bound bound bound

    let query (state: State) =
        Gen.frequency
            [ 2, rangeOp |> Gen.map (fun op -> Query.Range(op, RevisionFilter.None))
              2, Gen.map2 (fun op filter -> Query.Range(op, filter)) rangeOp (filter state)
              1, Gen.map Query.Txn (readOnlyTxn state) ]

    /// A list of steps, each drawn in view of the state that those before it led to.
    let unfold (step: 'state -> Gen<'step>) (advance: 'state -> 'step -> 'state) start length =
        let rec from state left steps =
            if left = 0 then
                Gen.constant (List.rev steps)
            else
                step state |> Gen.bind (fun next -> from (advance state next) (left - 1) (next :: steps))

        from start length []

    let incarnation = { History = System.Guid "6f0e9d5c-3a41-4c5e-9a1b-2f7d8c3b4a59"; Number = 1L }

    /// Up to `longest` mutating commands for a new table.
    let script longest =
        let advance state command = Table.apply state command |> fst
        Gen.choose (0, longest) |> Gen.bind (unfold command advance (Table.create incarnation))
