import QtQuick
import QtQuick.Controls.Basic

// Says one thing and goes away. What went wrong stays longer, and its text can be selected.
Rectangle {
    id: toast
    property string title: ""
    property string detail: ""
    property bool bad: false

    function say(words, more, wrong) {
        title = words
        detail = more
        bad = wrong
        visible = true
        timer.interval = wrong ? 9000 : 3500
        timer.restart()
    }

    visible: false
    width: Math.min(parent.width - 40, Math.max(heading.implicitWidth, lines.implicitWidth) + 92)
    height: Math.min(180, content.implicitHeight + 28)
    radius: 16
    color: Tokens.dark ? "#2a2d3b" : "#1b1d29"
    Accessible.role: Accessible.AlertMessage
    Accessible.name: title + ". " + detail

    Icon { id: sign; x: 18; anchors.verticalCenter: parent.verticalCenter; width: 22; height: 22; path: toast.bad ? Icons.close : Icons.check; color: toast.bad ? "#ff8a94" : "#3fd397"; stroke: 2.6 }
    Column {
        id: content
        anchors { left: sign.right; leftMargin: 14; right: parent.right; rightMargin: 20; verticalCenter: parent.verticalCenter }
        spacing: 3
        Text { id: heading; width: parent.width; wrapMode: Text.Wrap; text: toast.title; textFormat: Text.PlainText; color: "white"; font.pixelSize: Tokens.small; font.weight: Font.DemiBold; Accessible.ignored: true }
        TextEdit {
            id: lines
            width: parent.width
            visible: text !== ""
            text: toast.detail
            textFormat: TextEdit.PlainText
            readOnly: true
            selectByMouse: true
            activeFocusOnTab: false
            wrapMode: TextEdit.WrapAnywhere
            color: "#c3c7d6"
            font.pixelSize: Tokens.tiny
            Accessible.ignored: true
        }
    }
    Timer { id: timer; onTriggered: toast.visible = false }
    TapHandler { onTapped: toast.visible = false }
}
