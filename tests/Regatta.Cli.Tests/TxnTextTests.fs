module TxnTextTests

open System
open Expecto
open Google.Protobuf
open Regatta.Cli
open Regatta.Protocol.Mvcc
open Regatta.Testing

let private bytes (text: string) = ByteString.CopyFromUtf8 text
let private parse (text: string) = TxnText.Parse(text, "t")

let private lines (lines: string list) = parse (String.concat "\n" lines)

let private compareOf (line: string) = (lines [ line; ""; ""; "" ]).Compare[0]
let private operationOf (line: string) = (lines [ ""; line ]).Success[0]

let private expectError (line: int) (part: string) (text: string list) =
    try
        lines text |> ignore
        failtestf "%A was taken" text
    with :? CommandException as e ->
        Expect.equal e.ExitCode ExitCode.Usage "exit code"
        Expect.stringContains e.Message $"line {line}: " "names the line"
        Expect.stringContains e.Message part "says what is wrong"

let private compares =
    testList
        "A compare"
        [ testCase "has a target, a sign and a value" (fun () ->
              Expect.equal
                  (compareOf "value(a) = b")
                  (Compare(Target = Compare.Types.CompareTarget.Value, Key = bytes "a", Value = bytes "b"))
                  "value"

              Expect.equal
                  (compareOf "version(\"a\") != 3")
                  (Compare(
                      Target = Compare.Types.CompareTarget.Version,
                      Result = Compare.Types.CompareResult.NotEqual,
                      Key = bytes "a",
                      Version = 3L
                  ))
                  "version"

              Expect.equal
                  (compareOf "create('a b')<\"0\"")
                  (Compare(
                      Target = Compare.Types.CompareTarget.Create,
                      Result = Compare.Types.CompareResult.Less,
                      Key = bytes "a b",
                      CreateRevision = 0L
                  ))
                  "create"

              Expect.equal
                  (compareOf "mod(a) > -1")
                  (Compare(
                      Target = Compare.Types.CompareTarget.Mod,
                      Result = Compare.Types.CompareResult.Greater,
                      Key = bytes "a",
                      ModRevision = -1L
                  ))
                  "mod")

          testCase "may be over a range, or ask for existence" (fun () ->
              Expect.equal
                  (compareOf "value(a, b) == c")
                  (Compare(Target = Compare.Types.CompareTarget.Value, Key = bytes "a", RangeEnd = bytes "b", Value = bytes "c"))
                  "range"

              Expect.equal (compareOf "exists(a)") (Compare(Key = bytes "a")) "exists has no value to compare with"

              Expect.equal
                  (compareOf "missing(a)")
                  (Compare(Target = Compare.Types.CompareTarget.Version, Key = bytes "a", Version = 0L))
                  "missing is version 0")

          testCase "takes the short names of etcdctl" (fun () ->
              Expect.equal (compareOf "m(a) = 1") (compareOf "mod(a) = 1") "m"
              Expect.equal (compareOf "c(a) = 1") (compareOf "create(a) = 1") "c"
              Expect.equal (compareOf "ver(a) = 1") (compareOf "version(a) = 1") "ver"
              Expect.equal (compareOf "val(a) = 1") (compareOf "value(a) = 1") "val")

          testCase "that is wrong is refused with its line" (fun () ->
              expectError 1 "a compare is" [ "value a = b" ]
              expectError 1 "a compare is" [ "value(a) b" ]
              expectError 1 "a compare is" [ "value(a = b" ]
              expectError 1 "lease cannot be compared" [ "lease(a) = 0" ]
              expectError 1 "not a whole number" [ "mod(a) = x" ]
              expectError 1 "is not a comparison" [ "mod(a) , 1" ]
              expectError 1 "not closed" [ "value(\"a) = b" ]
              expectError 1 "nothing may follow" [ "exists(a) = 1" ]
              expectError 3 "a compare is" [ "# fine"; "mod(a) = 1"; "put a b" ]) ]

let private operations =
    testList
        "An operation"
        [ testCase "puts, gets or deletes, with options" (fun () ->
              Expect.equal
                  (operationOf "put a \"b c\" --prev-kv")
                  (RequestOp(RequestPut = RequestOp.Types.Put(Key = bytes "a", Value = bytes "b c", PrevKv = true)))
                  "put"

              Expect.equal
                  (operationOf "get a b --limit 3 --keys-only")
                  (RequestOp(RequestRange = RequestOp.Types.Range(Key = bytes "a", RangeEnd = bytes "b", Limit = 3L, KeysOnly = true)))
                  "get"

              Expect.equal
                  (operationOf "get lib --prefix --count-only")
                  (RequestOp(RequestRange = RequestOp.Types.Range(Key = bytes "lib", RangeEnd = bytes "lic", CountOnly = true)))
                  "prefix"

              Expect.equal
                  (operationOf "del a --prev-kv --count")
                  (RequestOp(RequestDeleteRange = RequestOp.Types.DeleteRange(Key = bytes "a", PrevKv = true, Count = true)))
                  "del")

          testCase "takes signs and options as keys and values when they are quoted, and signs also bare" (fun () ->
              Expect.equal
                  (operationOf "put a=(1,2) \"--prev-kv\"")
                  (RequestOp(RequestPut = RequestOp.Types.Put(Key = bytes "a=(1,2)", Value = bytes "--prev-kv")))
                  "put")

          testCase "that is wrong is refused with its line" (fun () ->
              expectError 2 "put takes KEY VALUE" [ ""; "put a" ]
              expectError 2 "put takes KEY VALUE" [ ""; "put a b c" ]
              expectError 2 "is not an operation" [ ""; "lock a" ]
              expectError 2 "put has no option --prefix" [ ""; "put a b --prefix" ]
              expectError 2 "--limit needs" [ ""; "get a --limit" ]
              expectError 2 "given twice" [ ""; "get a --prefix --prefix" ]
              expectError 2 "del takes" [ ""; "del a b --prefix" ]
              expectError 2 "RANGE_END is empty" [ ""; "get a ''" ]
              expectError 2 "no blank behind the quote" [ ""; "put \"a\"b c" ]
              expectError 2 "is not an escape" [ ""; "put \"\\q\" c" ]) ]

let private sections =
    testList
        "The sections of a transaction"
        [ testCase "follow one another with empty lines between, as in etcdctl" (fun () ->
              let txn = lines [ "mod(a) > 0"; "# a comment"; "value(b) = c"; ""; "put a 1"; "get b"; ""; "del c"; ""; "" ]
              Expect.equal (txn.Compare.Count, txn.Success.Count, txn.Failure.Count) (2, 2, 1) "sizes"
              Expect.equal (txn.Table.ToStringUtf8()) "t" "table")

          testCase "may each be empty" (fun () ->
              let txn = lines [ ""; ""; "put a 1" ]
              Expect.equal (txn.Compare.Count, txn.Success.Count, txn.Failure.Count) (0, 0, 1) "failure only"
              let none = parse ""
              Expect.equal (none.Compare.Count, none.Success.Count, none.Failure.Count) (0, 0, 0) "nothing")

          testCase "come in any order and with any empty lines under headings" (fun () ->
              let txn = parse (KvTxnCommand.Example.Replace("\n", "\r\n"))
              Expect.equal (txn.Compare.Count, txn.Success.Count, txn.Failure.Count) (2, 2, 1) "the example of the documents"
              let turned = lines [ "failure:"; "get b"; "success:"; ""; "get a"; "compares:"; "exists(x)" ]
              Expect.equal (turned.Compare.Count, turned.Success.Count, turned.Failure.Count) (1, 1, 1) "turned round")

          testCase "cannot be more than three, nor begin before the first heading" (fun () ->
              expectError 7 "a fourth section" [ "mod(a) = 1"; ""; "get a"; ""; "get a"; ""; "get a" ]
              expectError 1 "must begin first" [ "get a"; "success:"; "get b" ]) ]

let private quoting =
    Property.test
        "Any key and value can be written in quotes"
        1000
        (FsCheck.FSharp.Gen.zip Bytes.nasty Bytes.nasty)
        (fun _ -> Seq.empty)
        (fun (key, value) ->
            let quoted (bytes: byte array) = "\"" + EscapedText.Of(ReadOnlySpan bytes).Replace("\"", "\\\"") + "\""
            let operation = operationOf $"put {quoted key} {quoted value}"
            Expect.equal (operation.RequestPut.Key.ToByteArray()) key "key"
            Expect.equal (operation.RequestPut.Value.ToByteArray()) value "value"
            let compare = compareOf $"value({quoted key}) = {quoted value}"
            Expect.equal (compare.Key.ToByteArray()) key "key of a compare"
            Expect.equal (compare.Value.ToByteArray()) value "value of a compare")

let all = testList "transactions" [ compares; operations; sections; quoting ]
