namespace Regatta.Core;

/// <summary>How large one reply may get, and how records count towards it. Estimates are upper bounds of the wire's protobuf encoding.</summary>
public static class PageSize
{
    /// <summary>Bytes of a page unless told otherwise: 4 MiB, the wire's usual limit for a message, less room for the reply's header.</summary>
    public const int Default = (4 << 20) - (1 << 10);

    /// <summary>What an answer costs before its first record.</summary>
    internal const int AnswerBytes = 32;

    /// <summary>What a record costs beside key and value: tags, lengths, two revisions and a version at their longest.</summary>
    internal const int RecordBytes = 48;
}
