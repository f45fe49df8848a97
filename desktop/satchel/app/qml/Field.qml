import QtQuick
import QtQuick.Controls.Basic

Column {
    id: field
    property string label: ""
    property alias text: input.text
    property alias echoMode: input.echoMode
    property alias placeholder: input.placeholderText
    property alias input: input
    property bool bad: false
    signal accepted
    signal edited
    signal finished
    spacing: 6
    Text { text: field.label; color: Tokens.quiet; font.pixelSize: Tokens.tiny; font.weight: Font.Medium; Accessible.ignored: true }
    TextField {
        id: input
        width: field.width
        implicitHeight: 44
        leftPadding: 14
        rightPadding: 14
        color: Tokens.text
        placeholderTextColor: Tokens.quiet
        selectionColor: Tokens.accent
        selectedTextColor: Tokens.inkOnAccent
        selectByMouse: true
        font.pixelSize: Tokens.small + 1
        Accessible.name: field.label
        onAccepted: field.accepted()
        onEditingFinished: field.finished()
        onTextEdited: field.edited()
        background: Rectangle {
            radius: Tokens.smallRadius
            color: Tokens.card
            border.width: input.activeFocus || field.bad ? 2 : 1
            border.color: field.bad ? Tokens.bad : input.activeFocus ? Tokens.accent : Tokens.line
        }
    }
}
