import QtQuick
import QtQuick.Controls.Basic

AbstractButton {
    id: pill
    property string tone: "ok"
    property real widest: 420
    readonly property var look: Tokens.tones[tone] ?? Tokens.tones.busy
    implicitHeight: 37
    implicitWidth: Math.min(Math.ceil(label.implicitWidth) + 56, widest)
    hoverEnabled: true
    focusPolicy: Qt.StrongFocus
    Accessible.name: text
    Accessible.role: Accessible.Button
    Accessible.description: qsTr("Shows what is held back and why")
    Keys.onReturnPressed: clicked()
    Keys.onEnterPressed: clicked()
    contentItem: Item {
        Rectangle {
            id: dot
            x: 8
            anchors.verticalCenter: parent.verticalCenter
            width: 12
            height: 12
            radius: 6
            color: pill.look.text
        }
        Text {
            id: label
            anchors { left: dot.right; leftMargin: 8; right: parent.right; rightMargin: 8; verticalCenter: parent.verticalCenter }
            text: pill.text
            elide: Text.ElideMiddle
            color: pill.look.text
            font.pixelSize: Tokens.small
            font.weight: Font.DemiBold
        }
    }
    leftPadding: 10
    rightPadding: 10
    background: Rectangle {
        radius: height / 2
        color: pill.hovered ? Qt.tint(pill.look.back, Qt.alpha(pill.look.text, 0.08)) : pill.look.back
        FocusRing { control: pill }
    }
}
