namespace Regatta.Spec

open System

/// Requests of clients whose histories are to be checked.
module Requests =
    /// Of all kinds, about keys of which there are so many. Values are written once each, as long as numbers are, so that a value says who wrote it.
    let draw (random: Random) (keys: int) (number: int) =
        let named (place: int) = Bytes.OfText $"k{place:D4}"
        let key () = named (random.Next keys)
        let value part = Bytes.OfText $"v{number}-{part}"
        let flag () = random.Next 2 = 0
        let put key part : PutOp = { Key = key; Value = value part; PrevKv = flag () }
        let everything range : RangeOp = { Range = range; Limit = 0L; Projection = Projection.Full }
        let get () = Op.Range(everything (KeyRange.single (key ())))
        let among first = KeyRange.between (named first) (named (first + 5))

        match random.Next 100 with
        | chosen when chosen < 40 -> Request.Write(Command.Put(put (key ()) 0))
        | chosen when chosen < 50 -> Request.Write(Command.Delete { Range = KeyRange.single (key ()); PrevKv = flag (); Count = flag () })
        | chosen when chosen < 52 -> Request.Write(Command.Delete { Range = among (random.Next keys); PrevKv = true; Count = true })
        | chosen when chosen < 65 ->
            let compared =
                { Range = KeyRange.single (key ())
                  Relation = Relation.Greater
                  Operand = Operand.Version 0L }

            let success = [ Op.Put(put (key ()) 0); get (); Op.Put(put (key ()) 1) ]

            Request.Write(
                Command.Txn
                    { Compares = [ compared ]
                      Success = success
                      Failure = [ get (); Op.Put(put (key ()) 2) ] }
            )
        | chosen when chosen < 80 -> Request.Read(Query.Range(everything (KeyRange.single (key ())), RevisionFilter.None))
        | chosen when chosen < 85 -> Request.Read(Query.Range(everything (among (random.Next keys)), RevisionFilter.None))
        | chosen when chosen < 90 -> Request.Read(Query.Txn { Compares = []; Success = [ get (); get () ]; Failure = [] })
        | _ -> Request.LocalRead(Query.Range(everything (KeyRange.single (key ())), RevisionFilter.None))
