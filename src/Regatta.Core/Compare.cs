namespace Regatta.Core;

/// <summary>
/// One condition of a transaction; the stored side stands on the left of the operator. A range must hold for every key in it and
/// is false when empty. On a missing single key <see cref="CompareTarget.Value"/> and <see cref="CompareTarget.Exists"/> are false
/// whatever the operator; the numeric targets compare as 0.
/// </summary>
/// <param name="Keys">The key or range looked at.</param>
/// <param name="Operator">How the stored side relates to the operand.</param>
/// <param name="Target">Which stored property is compared.</param>
/// <param name="Value">Operand for <see cref="CompareTarget.Value"/>, compared bytewise.</param>
/// <param name="Number">Operand for the numeric targets.</param>
public readonly record struct Compare(KeyRange Keys, CompareOperator Operator, CompareTarget Target, ReadOnlyMemory<byte> Value, long Number);

/// <summary>Numbers are those of the wire.</summary>
public enum CompareOperator : byte
{
    Equal = 0,
    Greater = 1,
    Less = 2,
    NotEqual = 3,
}

public enum CompareTarget : byte
{
    /// <summary>No operand was given: true if the key exists (every key of a non-empty range does).</summary>
    Exists = 0,
    Value = 1,
    Version = 2,
    CreateRevision = 3,
    ModRevision = 4,
}
