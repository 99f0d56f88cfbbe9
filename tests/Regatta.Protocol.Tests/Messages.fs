module Messages

open System
open Expecto
open Google.Protobuf
open Google.Protobuf.Reflection
open Regatta.Protocol.Maintenance
open Regatta.Protocol.Mvcc
open Regatta.Protocol.Replication
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext

let private bytes (text: string) = ByteString.CopyFromUtf8 text
let private zero = ByteString.CopyFrom([| 0uy |])

/// Messages and their encodings, worked out by hand from the numbers in the Go implementation's files.
let private golden: (string * IMessage * string) list =
    [ "a key with its revisions",
      KeyValue(Key = bytes "k", CreateRevision = 1L, ModRevision = 2L, Value = bytes "v", Version = 3L),
      "0A016B 1001 1802 220176 A00603"

      "a range request with our additions",
      RangeRequest(
          Table = bytes "t",
          Key = bytes "k",
          RangeEnd = zero,
          Limit = 10L,
          Linearizable = true,
          MinRevision = 7UL,
          MaxStalenessMs = 1000UL,
          Consistency = Consistency.Global
      ),
      "0A0174 12016B 1A0100 200A 2801 A00607 A806E807 B00602"

      "a range response, whose pairs have number 3",
      (let response = RangeResponse(Header = ResponseHeader(Revision = 300UL), More = true, Count = 1L)
       response.Kvs.Add(KeyValue(Key = bytes "k"))
       response),
      "0A0318AC02 1A030A016B 2001 2801"

      "a comparison with version 0, which is present though 0, and a range end at number 64",
      Compare(
          Result = Compare.Types.CompareResult.NotEqual,
          Target = Compare.Types.CompareTarget.Version,
          Key = bytes "k",
          RangeEnd = zero,
          Version = 0L
      ),
      "0803 1064 1A016B 82040100 A00600"

      "a delete within a transaction, whose prev_kv has number 4",
      RequestOp(RequestDeleteRange = RequestOp.Types.DeleteRange(Key = bytes "k", PrevKv = true, Count = true)),
      "1A07 0A016B 2001 2801"

      "a replicated range delete with an empty but present end",
      Command(
          Table = bytes "t",
          Type = Command.Types.CommandType.Delete,
          Kv = KeyValue(Key = bytes "k"),
          LeaderIndex = 5UL,
          RangeEnd = ByteString.Empty
      ),
      "0A0174 1001 1A030A016B 2805 4200"

      "the end of a replication stream: only the leader's revision", ReplicateResponse(LeaderIndex = 300UL), "40AC02"

      "the error USE_SNAPSHOT, which is 0 and so an empty but present message",
      ReplicateResponse(ErrorResponse = ReplicateErrResponse(Error = ReplicateError.UseSnapshot)),
      "1200"

      "a pull that follows", ReplicateRequest(Table = bytes "t", LeaderIndex = 1UL, Follow = true), "0A0174 1001 A00601"

      "a status with a table and an error",
      (let status = StatusResponse(Id = "1")
       status.Tables.Add("t", TableStatus(Leader = "2", Revision = 9UL))
       status.Errors.Add "e"
       status),
      "0A0131 220B 0A0174 1206 220132 A00609 420165"

      "two nodes' hashes of a table, one of which has no answer",
      (let response = TableHashResponse(Header = ResponseHeader(Revision = 300UL))
       response.Nodes.Add(NodeHash(NodeId = 1UL, Revision = 300UL, Hash = bytes "h", ChainHash = bytes "c"))
       response.Nodes.Add(NodeHash(NodeId = 2UL, Error = "e"))
       response),
      "0A0318AC02 120B 0801 10AC02 1A0168 220163 1205 0802 2A0165"

      "the first message of a restore", RestoreMessage(Info = RestoreInfo(Table = bytes "t")), "0A03 0A0174" ]

let private goldenTests =
    [ for name, message, hex in golden ->
          test $"{name} is encoded byte for byte as expected, and read back" {
              let hex = hex.Replace(" ", "")
              Expect.equal (Convert.ToHexString(message.ToByteArray())) hex "encoded"
              Expect.equal (message.Descriptor.Parser.ParseFrom(Convert.FromHexString hex)) message "read back"
          } ]

/// Field 1998 with four bytes and field 1999 with a number: what a newer peer may send in any message.
let private unknownFields =
    use stream = new IO.MemoryStream()
    use output = new CodedOutputStream(stream)
    output.WriteTag(1998, WireFormat.WireType.LengthDelimited)
    output.WriteBytes(bytes "kept")
    output.WriteTag(1999, WireFormat.WireType.Varint)
    output.WriteUInt64 300UL
    output.Flush()
    stream.ToArray()

let tests =
    testList
        "messages"
        [ testList "golden" goldenTests

          test "fields that this version does not know survive being read and written, in every message" {
              for descriptor: MessageDescriptor in WireNumbers.messageTypes WireNumbers.files do
                  let message = descriptor.Parser.ParseFrom unknownFields
                  Expect.equal (message.ToByteArray()) unknownFields descriptor.FullName
          }

          test "enum values that this version does not know survive too" {
              let encoded = Convert.FromHexString "10E707"
              let compare = Compare.Parser.ParseFrom encoded
              Expect.equal (int compare.Target) 999 "target"
              Expect.equal (compare.ToByteArray()) encoded "bytes"
          }

          test "absent and empty range ends of a command differ" {
              Expect.isFalse (Command().HasRangeEnd) "absent"
              Expect.isTrue (Command(RangeEnd = ByteString.Empty).HasRangeEnd) "empty"
          }

          test "a comparison without an operand differs from one with an empty value" {
              Expect.equal (Compare().TargetUnionCase) Compare.TargetUnionOneofCase.None "existence test"
              let empty = Compare(Value = ByteString.Empty)
              Expect.equal (Compare.Parser.ParseFrom(empty.ToByteArray()).TargetUnionCase) Compare.TargetUnionOneofCase.Value "value"
          } ]
