/// What a command says of itself.
module Regatta.Core.Tests.CommandTests

open System
open System.Collections.Immutable
open Expecto
open Regatta.Core
open Regatta.Core.Tests.Build

let private install revision = InstallCommand(incarnation, revision, ChainHash(UInt128.One), UInt128.One)
let private batch before = ReplicatedBatch(incarnation, before, [||].ToImmutableArray())

let private record (changes: Change list) = ChangeRecord(ChainHash(UInt128.One), (Array.ofList changes).ToImmutableArray()).ToCommand()

let private states =
    [ testCase "an installation is for tables of its life that have not come as far" (fun () ->
          Expect.isTrue ((install 5L).Advances(incarnation, 4L)) "one that is behind"
          Expect.isFalse ((install 5L).Advances(incarnation, 5L)) "one that has come as far"
          Expect.isFalse ((install 5L).Advances(Incarnation(incarnation.History, 8L), 4L)) "one of another life")

      testCase "a batch of another site is for tables that are where it begins" (fun () ->
          Expect.isTrue ((batch 5L).Follows(incarnation, 5L)) "there"
          Expect.isFalse ((batch 5L).Follows(incarnation, 4L)) "behind"
          Expect.isFalse ((batch 5L).Follows(incarnation, 6L)) "beyond") ]

let private ranges =
    [ testCase "an interval without a key between its ends is empty" (fun () ->
          Expect.isTrue (interval "a" "a").IsEmpty "the same"
          Expect.isTrue (interval "b" "a").IsEmpty "the wrong way round"
          Expect.isFalse (interval "a" "b").IsEmpty "one key at least") ]

let private others =
    [ testCase "what is sent to other sites asks for nothing back" (fun () ->
          let put: Change = Change.Put(bytes "a", bytes "1", 3L, 1L, 0L)

          match record [ put ] with
          | :? PutCommand as sent -> Expect.isFalse sent.WantPrevious "a put alone"
          | other -> failtestf "%A" other

          match record [ put; Change.Delete(bytes "b", 2L); Change.DeleteRange(interval "c" "d", 4L) ] with
          | :? TxnCommand as sent ->
              match List.ofSeq sent.Success with
              | [ :? TxnOp.Put as put; :? TxnOp.DeleteRange as one; :? TxnOp.DeleteRange as range ] ->
                  Expect.isFalse put.WantPrevious "a put"
                  Expect.equal (one.WantPrevious, one.WantCount) (false, false) "a key that is deleted"
                  Expect.equal (range.WantPrevious, range.WantCount) (false, false) "a range that is deleted"
              | other -> failtestf "%A" other
          | other -> failtestf "%A" other) ]

let private numbers =
    let refused name (command: TableCommand) =
        Expect.throwsT<OverflowException> (fun () -> payload [ command ] |> ignore) $"%s{name}: written"
        Expect.throwsT<OverflowException> (fun () -> CommandSize.Of command |> ignore) $"%s{name}: measured"

    [ testCase "numbers below zero have no form in the log, and are not taken for large ones" (fun () ->
          let before = Incarnation(incarnation.History, -1L)
          refused "an installation's revision" (install -1L)
          refused "where a batch begins" (batch -1L)
          refused "an installation's life" (InstallCommand(before, 1L, ChainHash(UInt128.One), UInt128.One))
          refused "a batch's life" (ReplicatedBatch(before, 1L, [||].ToImmutableArray())))

      testCase "a batch holds no batch, and says so" (fun () ->
          let nested = ReplicatedBatch(incarnation, 1L, [| batch 1L :> TableCommand |].ToImmutableArray())

          Expect.throwsC (fun () -> payload [ nested ] |> ignore) (fun e ->
              Expect.stringContains e.Message "A replicated batch holds a ReplicatedBatch" "the sentence"))

      testCase "damage is told of by the name of what is damaged" (fun () ->
          let told (read: unit -> unit) (name: string) = Expect.throwsC read (fun e -> Expect.stringContains e.Message name "the name")

          told (fun () -> ChangeCodec.ReadRemovedKeys(ReadOnlyMemory [||]) |> ignore) "Changelog part"
          told (fun () -> ChangeCodec.ReadChain(ReadOnlyMemory [||]) |> ignore) "Changelog record"
          told (fun () -> ChangeCodec.ReadChain(ReadOnlyMemory [| 2uy; 2uy |]) |> ignore) "16 more bytes are expected and 1 are left") ]

let tests = testList "commands" (states @ ranges @ others @ numbers)
