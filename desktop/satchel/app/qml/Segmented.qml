import QtQuick
import QtQuick.Controls.Basic

// One of a few words; `value` is the chosen one's.
Rectangle {
    id: segmented
    property var choices: []  // [{ value, text }]
    property string value: ""
    property string name: ""
    signal chosen(string value)
    implicitWidth: row.implicitWidth + 8
    implicitHeight: 40
    radius: 11
    color: Tokens.track
    Accessible.role: Accessible.Grouping
    Accessible.name: name

    Row {
        id: row
        x: 4
        anchors.verticalCenter: parent.verticalCenter
        Repeater {
            model: segmented.choices
            AbstractButton {
                id: choice
                required property var modelData
                text: modelData.text
                checkable: false
                checked: segmented.value === modelData.value
                implicitWidth: word.implicitWidth + 36
                implicitHeight: 33
                focusPolicy: Qt.StrongFocus
                Accessible.name: text
                Accessible.role: Accessible.RadioButton
                Accessible.checked: checked
                Keys.onReturnPressed: clicked()
                Keys.onEnterPressed: clicked()
                onClicked: segmented.chosen(modelData.value)
                contentItem: Text {
                    id: word
                    text: choice.text
                    horizontalAlignment: Text.AlignHCenter
                    verticalAlignment: Text.AlignVCenter
                    font.pixelSize: Tokens.small
                    font.weight: Font.DemiBold
                    color: choice.checked || choice.hovered ? Tokens.text : Tokens.quiet
                }
                background: Rectangle {
                    radius: 8
                    color: choice.checked ? Tokens.card : "transparent"
                    FocusRing { control: choice }
                }
            }
        }
    }
}
